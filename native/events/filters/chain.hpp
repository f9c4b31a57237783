// Filters one after the other, as a stage of the pipeline or by themselves. The same events in any split give the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "base/stage.hpp"
#include "events/filters/filter.hpp"
#include "events/windows/window_cutter.hpp"

namespace edgesnn::events {

class FilterChain final : public Stage {
  public:
    // Throws Error{usage} on a filter that cannot be, or that the area which the one before it leaves cannot have.
    FilterChain(const std::vector<Parameters>& filters, Area area);

    bool empty() const noexcept { return filters_.empty(); }
    Area area() const noexcept { return area_; }  // of what comes out
    // Writes what passes to `out`, which has room for all of them; returns how many. An event earlier than the time
    // reached takes that time and is counted. The events lie in the area given at the start, each |t| < kTimeLimit.
    size_t push(Span<const Event> events, Event* out);
    // The same where times never step back from the first event on: known, so not looked at.
    size_t push_rising(Span<const Event> events, Event* out);
    // Time has passed without events.
    void advance(int64_t t_us) noexcept;
    int64_t reached_us() const noexcept { return reached_us_; }
    int64_t dropped() const noexcept;

    const char* section() const noexcept override { return "filters"; }
    void save(StateWriter& writer) const override;
    void load(const StateReader& reader) override;  // of the same filters and the same area; else Error{model}
    void count(CounterMap& counters) const override;

  private:
    struct Link {
        std::unique_ptr<Filter> filter;
        std::string name;
        int64_t dropped = 0;
    };
    size_t pass(const Event* from, size_t count, Event* out) noexcept;
    const Event* clamped(Span<const Event> events);
    static std::string state_name(size_t at, const Link& link) { return std::to_string(at) + "." + link.name + "."; }

    std::vector<Link> filters_;
    Area area_;
    std::string identity_;  // what the filters are and where they start: a snapshot of others is refused
    int64_t reached_us_ = -kTimeLimit;
    int64_t time_clamped_ = 0;
    std::vector<Event> clamped_;
    std::vector<Event> between_[2];  // from one filter to the next
};

}  // namespace edgesnn::events
