// An event passes if more than `period` has gone by since its pixel's last event that passed, or, by choice, since its
// last event of any kind.
#include "events/filters/filters.hpp"
#include "events/filters/last_times.hpp"

namespace edgesnn::events {
namespace {

template <bool AfterAny>
class Refractory final : public Filter {
  public:
    Refractory(int64_t period_us, Area area) : period_us_(period_us), last_(area) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        return keep_events(
            from, to, count,
            [this](const Event& event) {
                int64_t* last = last_.at(event);
                const bool passes = event.t - *last > period_us_;
                *last = AfterAny || passes ? event.t : *last;
                return passes;
            },
            [this](const Event& event) { last_.fetch(event); });
    }
    void save(StateWriter& writer, const std::string& at) const override { last_.save(writer, at + "last"); }
    void load(const StateReader& reader, const std::string& at) override { last_.load(reader, at + "last"); }

  private:
    int64_t period_us_;
    LastTimes last_;
};

}  // namespace

std::unique_ptr<Filter> make_refractory(const Parameters& parameters, Area& area) {
    const int64_t period_us = parameters.get("period", 1, kLongestFilterTime);
    if (parameters.get("after", 0, 1) == 1) return std::make_unique<Refractory<true>>(period_us, area);
    return std::make_unique<Refractory<false>>(period_us, area);
}

}  // namespace edgesnn::events
