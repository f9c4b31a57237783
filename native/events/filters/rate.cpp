// Of each `period`, counted from the first event, the first limit * period events pass and the others are dropped.
#include "events/filters/filters.hpp"
#include "events/windows/window_cutter.hpp"

namespace edgesnn::events {
namespace {

class Rate final : public Filter {
  public:
    Rate(int64_t most, int64_t period_us) : most_(most), period_us_(period_us) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        return keep_events(from, to, count, [this](const Event& event) {
            if (event.t >= end_us_) begin(event.t);
            return seen_++ < most_;
        });
    }
    void save(StateWriter& writer, const std::string& at) const override {
        const int64_t state[] = {end_us_, seen_};
        writer.put(at + "state", state, {2});
    }
    void load(const StateReader& reader, const std::string& at) override {
        const std::vector<int64_t> state = reader.get_array<int64_t>(at + "state");
        const bool fits = state.size() == 2 && (state[0] == kNone || (state[0] > -kTimeLimit && state[0] < kLatest)) &&
                          state[1] >= 0 && state[1] <= kMostCounted;
        if (!fits) throw Error(ErrorKind::model, "snapshot of a filter contradicts itself", at + "state");
        end_us_ = state[0], seen_ = state[1];
    }

  private:
    static constexpr int64_t kNone = -2 * kTimeLimit;  // before every event
    static constexpr int64_t kLatest = kTimeLimit + kLongestFilterTime + 1;

    void begin(int64_t t_us) noexcept {
        end_us_ = end_us_ == kNone ? t_us + period_us_ : end_us_ + ((t_us - end_us_) / period_us_ + 1) * period_us_;
        seen_ = 0;
    }

    int64_t most_;
    int64_t period_us_;
    int64_t end_us_ = kNone;
    int64_t seen_ = 0;
};

}  // namespace

std::unique_ptr<Filter> make_rate(const Parameters& parameters, Area&) {
    const int64_t limit_hz = parameters.get("limit", 1, 1000000000);
    const int64_t period_us = parameters.get("period", 1, int64_t{1} << 32);
    const int64_t most = limit_hz * period_us / 1000000;
    if (most < 1)
        throw Error(ErrorKind::usage, "the filter lets nothing pass", "rate", "no whole event a period",
                    "limit times period of at least 1");
    return std::make_unique<Rate>(most, period_us);
}

}  // namespace edgesnn::events
