// An event passes if one of the 8 (or 4) pixels beside its own had an event less than `dt` before it. Every event, also
// one that does not pass, supports those after it.
#include "events/filters/filters.hpp"
#include "events/filters/last_times.hpp"

namespace edgesnn::events {
namespace {

template <bool Corners>
class Background final : public Filter {
  public:
    Background(int64_t dt_us, Area area) : dt_us_(dt_us), last_(area) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        const std::ptrdiff_t row = last_.stride();
        return keep_events(from, to, count, [this, row](const Event& event) {
            int64_t* last = last_.at(event);
            *last = event.t;
            int64_t latest = std::max(std::max(last[-1], last[1]), std::max(last[-row], last[row]));
            if constexpr (Corners) {
                latest = std::max(latest, std::max(last[-row - 1], last[-row + 1]));
                latest = std::max(latest, std::max(last[row - 1], last[row + 1]));
            }
            return event.t - latest < dt_us_;
        });
    }
    void save(StateWriter& writer, const std::string& at) const override { last_.save(writer, at + "last"); }
    void load(const StateReader& reader, const std::string& at) override { last_.load(reader, at + "last"); }

  private:
    int64_t dt_us_;
    LastTimes last_;
};

}  // namespace

std::unique_ptr<Filter> make_background(const Parameters& parameters, Area& area) {
    const int64_t dt_us = parameters.get("dt", 1, kLongestFilterTime);
    if (parameters.get("neighbours", 0, 1) == 0) return std::make_unique<Background<true>>(dt_us, area);
    return std::make_unique<Background<false>>(dt_us, area);
}

}  // namespace edgesnn::events
