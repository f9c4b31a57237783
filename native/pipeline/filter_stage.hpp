// The filters of a chain, and the events that passed them and wait for the windows.
#pragma once

#include <vector>

#include "events/filters/chain.hpp"

namespace edgesnn::pipeline {

class FilterStage final : public Stage {
  public:
    FilterStage(const std::vector<events::Parameters>& filters, events::Area area);

    bool empty() const noexcept { return chain_.empty(); }
    events::Area area() const noexcept { return chain_.area(); }
    // What waits; push only when it is used up.
    Span<const Event> events() const noexcept { return {held_.data() + taken_, held_count_ - taken_}; }
    void take(size_t count) noexcept { taken_ += count; }
    size_t push(Span<const Event> events);  // returns how many it took
    void advance(int64_t t_us) noexcept { chain_.advance(t_us); }
    int64_t reached_us() const noexcept { return chain_.reached_us(); }
    int64_t pending() const noexcept { return static_cast<int64_t>(held_count_ - taken_); }

    const char* section() const noexcept override { return chain_.section(); }
    void save(StateWriter& writer) const override;
    void load(const StateReader& reader) override;
    void count(CounterMap& counters) const override { chain_.count(counters); }

  private:
    events::FilterChain chain_;
    std::vector<Event> held_;  // the first held_count_ of them passed, and from taken_ on they wait
    size_t held_count_ = 0;
    size_t taken_ = 0;
};

}  // namespace edgesnn::pipeline
