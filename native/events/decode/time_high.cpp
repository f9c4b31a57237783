#include "events/decode/time_high.hpp"

#include <vector>

namespace edgesnn::events {

void TimeHigh::save(StateWriter& writer) const {
    const int64_t values[] = {epoch_, reference_, repeats_ ? 1 : 0, repeated_ ? 1 : 0};
    writer.put("time_high", values, {4});
    writer.put("time_high_waiting", values_.data(), {static_cast<int64_t>(count_)});
}

void TimeHigh::load(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("time_high");
    const std::vector<int64_t> waiting = reader.get_array<int64_t>("time_high_waiting");
    bool good =
        v.size() == 4 && waiting.size() < kRun && v[0] >= 0 && v[0] <= kMaxEpoch && v[1] >= -1 && v[1] < period();
    for (const int64_t value : waiting) good = good && value >= 0 && value / period() <= kMaxEpoch;
    if (!good || (v[1] < 0 && waiting.size() > 1))
        throw Error(ErrorKind::model, "snapshot of a decoder holds an impossible clock", "time_high");
    epoch_ = v[0], reference_ = v[1], repeats_ = v[2] != 0, repeated_ = v[3] != 0;
    count_ = waiting.size();
    for (size_t i = 0; i < count_; ++i) {
        values_[i] = waiting[i];
        words_[i] = low(waiting[i]);
    }
}

}  // namespace edgesnn::events
