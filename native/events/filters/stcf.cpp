// An event passes if at least `k` of the 8 pixels around its own had an event less than `dt` before it (S. Guo and
// T. Delbruck, "Low cost and latency event camera background activity denoising", 2022). Every event supports.
#include "events/filters/filters.hpp"
#include "events/filters/last_times.hpp"

namespace edgesnn::events {
namespace {

class Stcf final : public Filter {
  public:
    Stcf(int64_t dt_us, int64_t k, Area area) : dt_us_(dt_us), k_(static_cast<int>(k)), last_(area) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        const std::ptrdiff_t row = last_.stride();
        return keep_events(from, to, count, [this, row](const Event& event) {
            int64_t* last = last_.at(event);
            const int64_t since = event.t - dt_us_;
            *last = event.t;
            const int support = (last[-row - 1] > since) + (last[-row] > since) + (last[-row + 1] > since) +
                                (last[-1] > since) + (last[1] > since) + (last[row - 1] > since) + (last[row] > since) +
                                (last[row + 1] > since);
            return support >= k_;
        });
    }
    void save(StateWriter& writer, const std::string& at) const override { last_.save(writer, at + "last"); }
    void load(const StateReader& reader, const std::string& at) override { last_.load(reader, at + "last"); }

  private:
    int64_t dt_us_;
    int k_;
    LastTimes last_;
};

}  // namespace

std::unique_ptr<Filter> make_stcf(const Parameters& parameters, Area& area) {
    return std::make_unique<Stcf>(parameters.get("dt", 1, kLongestFilterTime), parameters.get("k", 1, 8), area);
}

}  // namespace edgesnn::events
