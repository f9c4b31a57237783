// Cuts a stream of events into windows, by time with a hop or by count (docs/pipeline.md, "Windows").
//
// By time: in bins of a grid (points: of 1 us), counted from the first event or from time zero; window k covers the
// bins [k*hop, k*hop + length) and closes when the time reached passes its end. The first one given is window 0, or
// counted from zero the first that ends after the first event. By count: window k holds the events [k*hop, k*hop +
// length) of the stream and closes when it has them. Time that steps back counts as the largest time reached before
// (time_clamped). The same windows for any packet size.
//
// Work and memory are bounded: a window is given only when asked for, so a jump of hours costs nothing until its idle
// windows are read; after max_silent windows in a row without an event no more are given until one comes
// (windows_skipped). At most max_events wait for their windows; the newest beyond that are dropped (window_full). Room
// that a burst needed is given back by and by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/event.hpp"
#include "base/span.hpp"
#include "base/stage.hpp"
#include "base/time_grid.hpp"

namespace edgesnn::events {

constexpr int64_t kLengthLimit = int64_t{1} << 48;
constexpr int64_t kMaxSilent = int64_t{1} << 20;

struct WindowOptions {
    bool by_count = false;
    int64_t length = 0;  // bins of the grid, or events
    int64_t hop = 0;     // bins of the grid, or events
    size_t max_events = size_t{1} << 22;
    int64_t max_silent = kMaxSilent;
    int32_t width = 65536;  // what a snapshot's events are checked against; pushed events are the caller's to check
    int32_t height = 65536;
    TimeGrid grid;
    bool from_zero = false;  // bins count from time zero, not from the first event; what lies before it is in no window
};

struct Window {
    int64_t number = 0;
    int64_t t0_us = 0;  // by time: its start and end; by count: its first and last event's time
    int64_t t1_us = 0;
    Span<const Event> events;  // t non-decreasing; valid until the next push, advance or load
    uint64_t first_event = 0;  // index in the stream of events[0]
    int64_t dropped = 0;       // events lost (window_full) since the window before
};

class WindowCutter final : public Stage {
  public:
    // Throws Error{model} on lengths that are not 1 to 2^48 (microseconds, or events), or a count window above
    // max_events.
    explicit WindowCutter(const WindowOptions& options);

    bool complete() const noexcept;
    // If the next window is complete, gives it and returns true. Call until false before push and advance.
    bool close(Window& window);
    // Takes events up to the one that completes the next window, which stays with the caller; returns how many it took.
    // Each |t| < kTimeLimit.
    size_t push(Span<const Event> events);
    // Time has passed without events; no event after it counts as earlier, not even the first.
    void advance(int64_t t_us) noexcept;
    // Events were dropped before they came here: the next window's `dropped` counts them too.
    void lose(int64_t events) noexcept { lost_ += events; }
    // The stream has ended: what belongs to no complete window is dropped and counted.
    void finish() noexcept;

    int64_t processed() const noexcept { return processed_; }  // events that were in at least one complete window
    int64_t dropped() const noexcept { return between_windows_ + window_full_ + unfinished_window_; }
    int64_t pending() const noexcept { return static_cast<int64_t>(held() - covered_); }

    const char* section() const noexcept override { return "window"; }
    void save(StateWriter& writer) const override;
    void load(const StateReader& reader) override;
    void count(CounterMap& counters) const override;

  private:
    size_t held() const noexcept { return ring_.size() - head_; }
    int64_t start_us() const noexcept { return origin_us_ + options_.grid.first_us(number_ * options_.hop); }
    int64_t end_us() const noexcept {
        return origin_us_ + options_.grid.first_us(number_ * options_.hop + options_.length);
    }
    int64_t last_number() const noexcept;
    bool silent() const noexcept { return silent_ >= options_.max_silent; }
    void begin(int64_t t_us) noexcept;
    void keep(Event event, int64_t t_us);
    int64_t clamp(int64_t t_us) noexcept;
    void wake(int64_t t_us) noexcept;
    void next_window() noexcept;
    void forget(size_t events) noexcept;
    void tidy() noexcept;
    size_t push_timed(Span<const Event> events);
    size_t push_counted(Span<const Event> events);
    void check() const;
    void check_events() const;

    WindowOptions options_;
    bool started_ = false;
    int64_t origin_us_ = 0;
    int64_t reached_us_ = -kTimeLimit;
    int64_t number_ = 0;        // of the next window
    int64_t silent_ = 0;        // windows in a row without an event
    int64_t to_skip_ = 0;       // by count, hop > length: events before the next window begins
    uint64_t first_event_ = 0;  // index in the stream of the oldest held event
    std::vector<Event> ring_;   // held events from head_ on; compacted when the dead part is the larger one
    size_t head_ = 0;
    size_t most_ = 0;  // of ring_.size() since windows_ was looked_at_
    int64_t looked_at_ = 0;
    size_t covered_ = 0;  // of the held events, the oldest that were in a complete window
    int64_t lost_ = 0;    // dropped since the last window
    int64_t processed_ = 0;
    int64_t between_windows_ = 0;
    int64_t window_full_ = 0;
    int64_t unfinished_window_ = 0;
    int64_t time_clamped_ = 0;
    int64_t windows_ = 0;
    int64_t windows_skipped_ = 0;
};

}  // namespace edgesnn::events
