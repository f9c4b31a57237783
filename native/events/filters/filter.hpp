// One filter: events in, fewer or moved events out. docs/filters.md says what each computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/event_lanes.hpp"
#include "base/state_io.hpp"

namespace edgesnn::events {

struct Area {  // of a sensor, in pixels
    int32_t width = 0;
    int32_t height = 0;

    // For a filter that keeps something of each pixel; throws Error{usage} where that is too much memory.
    size_t pixels() const {
        const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
        if (count > size_t{1} << 26)
            throw Error(ErrorKind::usage, "the sensor is too large for a filter with a memory of each pixel", "sensor",
                        std::to_string(width) + "x" + std::to_string(height), "at most 2^26 pixels",
                        "put a roi or downsample before it");
        return count;
    }
};

class Filter {
  public:
    virtual ~Filter() = default;
    // Writes the events that pass to the front of `to`, in order, moved where the filter moves them; returns how many.
    // Their times never step back and they lie inside the area that the filter was made for. `to` has room for `count`
    // events and is not `from`: what is written to be read again at once, in pieces of another size, is slow.
    virtual size_t apply(const Event* from, Event* to, size_t count) noexcept = 0;
    // The state as tensors whose names begin with `at`; load throws Error{model} on what cannot be.
    virtual void save(StateWriter&, const std::string& /*at*/) const {}
    virtual void load(const StateReader&, const std::string& /*at*/) {}
};

// A filter's parameters, as edgesnn/events/filters/registry.py describes them: durations in microseconds, rates in
// events per second, a choice by its place.
struct Parameters {
    std::string filter;
    std::map<std::string, int64_t> values;
    std::string bits;  // of a bitmap, packed; else empty

    int64_t get(const char* name, int64_t low, int64_t high) const {
        const auto it = values.find(name);
        const std::string where = filter + ":" + name;
        if (it == values.end()) throw Error(ErrorKind::usage, "the filter's parameter is missing", where);
        if (it->second < low || it->second > high)
            throw Error(ErrorKind::usage, "the filter's parameter is out of range", where, std::to_string(it->second),
                        std::to_string(low) + " to " + std::to_string(high));
        return it->second;
    }
};

constexpr int64_t kLongestFilterTime = int64_t{1} << 48;

// Throws Error{usage} on an unknown name or an impossible parameter. `area`: of what comes in; then of what goes out.
std::unique_ptr<Filter> make_filter(const Parameters& parameters, Area& area);

// For filters that only drop: keep(event) says what stays, without a branch for each event. Where it reads a memory of
// each pixel, fetch(event) has that brought near some events earlier.
template <typename Keep, typename Fetch>
size_t keep_events(const Event* from, Event* to, size_t count, Keep&& keep, Fetch&& fetch) noexcept {
    constexpr size_t kAhead = 24;
    if (count == 0) return 0;
    size_t kept = 0;
    for (size_t i = 0; i + 1 < count; ++i) {
        fetch(from[i + kAhead < count ? i + kAhead : count - 1]);
        store_lanes(to + kept, load_lanes(from + i));
        kept += keep(from[i]) ? 1 : 0;
    }
    to[kept] = from[count - 1];
    return kept + (keep(from[count - 1]) ? 1 : 0);
}

template <typename Keep>
size_t keep_events(const Event* from, Event* to, size_t count, Keep&& keep) noexcept {
    return keep_events(from, to, count, keep, [](const Event&) {});
}

// A filter that only changes events: change(lanes) gives those of the event, and leaves the last lane's upper byte.
template <typename Change>
class Changing final : public Filter {
  public:
    explicit Changing(Change change) : change_(change) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        if (count == 0) return 0;
        const Change change = change_;
        for (size_t i = 0; i + 1 < count; ++i) store_lanes(to + i, change(load_lanes(from + i)));
        Event last[2] = {from[count - 1], {}};
        store_lanes(last, change(load_lanes(last)));
        to[count - 1] = last[0];
        return count;
    }

  private:
    Change change_;
};

template <typename Change>
std::unique_ptr<Filter> changing(Change change) {
    return std::make_unique<Changing<Change>>(change);
}

}  // namespace edgesnn::events
