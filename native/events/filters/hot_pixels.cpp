// For the first `learn` of sensor time every event passes and is counted at its pixel; after that, events of pixels
// that had more than rate * learn are dropped.
#include <algorithm>
#include <limits>

#include "events/filters/filters.hpp"
#include "events/windows/window_cutter.hpp"

namespace edgesnn::events {
namespace {

class HotPixels final : public Filter {
  public:
    HotPixels(int64_t learn_us, int64_t most, Area area)
        : learn_us_(learn_us), most_(most), width_(area.width), counts_(area.pixels(), 0) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        size_t learnt = 0;
        if (count != 0 && !started_) started_ = true, origin_us_ = from[0].t;
        while (learnt < count && from[learnt].t - origin_us_ < learn_us_) learn(from[learnt++]);
        std::copy_n(from, learnt, to);
        return learnt + keep_events(from + learnt, to + learnt, count - learnt,
                                    [this](const Event& event) { return counts_[at(event)] <= most_; });
    }
    void save(StateWriter& writer, const std::string& name) const override {
        const int64_t state[] = {started_, origin_us_};
        writer.put(name + "state", state, {2});
        writer.put(name + "counts", counts_.data(),
                   {static_cast<int64_t>(counts_.size()) / width_, static_cast<int64_t>(width_)});
    }
    void load(const StateReader& reader, const std::string& name) override {
        const std::vector<int64_t> state = reader.get_array<int64_t>(name + "state");
        std::vector<uint32_t> counts = reader.get_array<uint32_t>(name + "counts");
        if (state.size() != 2 || state[1] <= -kTimeLimit || state[1] >= kTimeLimit || counts.size() != counts_.size())
            throw Error(ErrorKind::model, "snapshot of a filter contradicts itself", name + "state");
        started_ = state[0] != 0, origin_us_ = state[1];
        counts_ = std::move(counts);
    }

  private:
    size_t at(const Event& event) const noexcept { return event.y * static_cast<size_t>(width_) + event.x; }
    void learn(const Event& event) noexcept {
        uint32_t& count = counts_[at(event)];
        count += count != std::numeric_limits<uint32_t>::max() ? 1 : 0;
    }

    int64_t learn_us_;
    int64_t most_;
    int32_t width_;
    bool started_ = false;
    int64_t origin_us_ = 0;
    std::vector<uint32_t> counts_;
};

}  // namespace

std::unique_ptr<Filter> make_hot_pixels(const Parameters& parameters, Area& area) {
    const int64_t learn_us = parameters.get("learn", 1, int64_t{1} << 32);
    const int64_t rate_hz = parameters.get("rate", 1, 1000000);
    const int64_t most = learn_us * rate_hz / 1000000;
    if (most < 1)
        throw Error(ErrorKind::usage, "the filter learns too little", "hot_pixels", "no whole event a pixel",
                    "learn times rate of at least 1");
    return std::make_unique<HotPixels>(learn_us, most, area);
}

}  // namespace edgesnn::events
