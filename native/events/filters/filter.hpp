// One filter: events in, fewer or moved events out. docs/filters.md says what each computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/event.hpp"
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
    // Leaves the events that pass at the front, in order, moved where the filter moves them; returns how many. Their
    // times never step back and they lie inside the area that the filter was made for.
    virtual size_t apply(Event* events, size_t count) noexcept = 0;
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

// Moves an event to its place or one before it, in one piece of 16 bytes: the 3 after it get the value that they have,
// or belong to an event that was moved already. Another event follows `from`.
inline void move_event(Event* to, const Event* from) noexcept {
    char bytes[16];
    std::memcpy(bytes, static_cast<const void*>(from), sizeof bytes);
    std::memcpy(static_cast<void*>(to), bytes, sizeof bytes);
}

// For filters that only drop: keep(event) says what stays. Without a branch for each event.
template <typename Keep>
size_t keep_events(Event* events, size_t count, Keep&& keep) noexcept {
    if (count == 0) return 0;
    size_t kept = 0;
    for (size_t i = 0; i + 1 < count; ++i) {
        const Event event = events[i];
        move_event(events + kept, events + i);
        kept += keep(event) ? 1 : 0;
    }
    const Event last = events[count - 1];
    events[kept] = last;
    return kept + (keep(last) ? 1 : 0);
}

}  // namespace edgesnn::events
