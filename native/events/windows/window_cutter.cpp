#include "events/windows/window_cutter.hpp"

#include <algorithm>
#include <new>
#include <string>

namespace edgesnn::events {
namespace {

constexpr size_t kRoom = size_t{1} << 16;  // events: what is never given back
constexpr int64_t kFewWindows = 64;

void require(bool ok, const char* name, int64_t found, const char* expected) {
    if (!ok) throw Error(ErrorKind::model, "not a window", name, std::to_string(found), expected);
}

[[noreturn]] void refuse(const char* name) {
    throw Error(ErrorKind::model, "snapshot of the windows contradicts itself", std::string("window/") + name);
}

}  // namespace

WindowCutter::WindowCutter(const WindowOptions& options) : options_(options) {
    const int64_t bin_us = options_.by_count ? 1 : options_.grid.bin_us;
    require(bin_us >= 1 && bin_us <= kLengthLimit, "bin", bin_us, "1 to 2^48");
    const int64_t longest = kLengthLimit / bin_us;
    require(options_.length >= 1 && options_.length <= longest, "length", options_.length, "at least 1, within 2^48");
    require(options_.hop >= 1 && options_.hop <= longest, "hop", options_.hop, "at least 1, within 2^48");
    require(!options_.by_count || static_cast<size_t>(options_.length) <= options_.max_events, "length",
            options_.length, "at most the events that may wait");
}

bool WindowCutter::complete() const noexcept {
    if (!started_) return false;
    if (options_.by_count) return held() >= static_cast<size_t>(options_.length);
    return reached_us_ >= end_us() && !silent();
}

bool WindowCutter::close(Window& window) {
    if (!complete()) return false;
    const size_t size = options_.by_count ? static_cast<size_t>(options_.length) : held();
    window.number = number_;
    window.events = {ring_.data() + head_, size};
    window.first_event = first_event_;
    window.t0_us = options_.by_count ? window.events[0].t : start_us();
    window.t1_us = options_.by_count ? window.events[size - 1].t : end_us();
    window.dropped = lost_;
    lost_ = 0;
    processed_ += static_cast<int64_t>(size - std::min(size, covered_));
    covered_ = std::max(covered_, size);
    silent_ = size == 0 ? silent_ + 1 : 0;
    ++windows_;
    next_window();
    return true;
}

// The events stay in memory until the next push: only the head moves.
void WindowCutter::next_window() noexcept {
    ++number_;
    if (options_.by_count) {
        const size_t gone = std::min(held(), static_cast<size_t>(options_.hop));
        to_skip_ = options_.hop - static_cast<int64_t>(gone);
        forget(gone);
        return;
    }
    size_t gone = 0;
    while (gone < held() && ring_[head_ + gone].t < start_us()) ++gone;
    forget(gone);
}

void WindowCutter::forget(size_t events) noexcept {
    head_ += events;
    first_event_ += events;
    covered_ -= std::min(covered_, events);
}

size_t WindowCutter::push(Span<const Event> events) {
    tidy();
    if (!started_ && !events.empty()) begin(events[0].t);
    return options_.by_count ? push_counted(events) : push_timed(events);
}

// Of room that is not needed halves go, so that bursts that come again and again cost one growth each.
void WindowCutter::tidy() noexcept {
    most_ = std::max(most_, ring_.size());
    if (head_ > ring_.size() / 2) {
        ring_.erase(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
    if (windows_ - looked_at_ < kFewWindows) return;
    const size_t room = ring_.capacity() / 2;
    if (room >= std::max(kRoom, 2 * most_)) {
        try {
            std::vector<Event> smaller;
            smaller.reserve(room);
            smaller.assign(ring_.begin(), ring_.end());
            ring_.swap(smaller);
        } catch (const std::bad_alloc&) {  // what it has stays as it is
        }
    }
    most_ = ring_.size();
    looked_at_ = windows_;
}

void WindowCutter::begin(int64_t t_us) noexcept {
    started_ = true;
    reached_us_ = std::max(t_us, reached_us_);
    if (!options_.from_zero) origin_us_ = reached_us_;
    if (!options_.by_count && reached_us_ >= end_us()) wake(reached_us_);
}

size_t WindowCutter::push_timed(Span<const Event> events) {
    for (size_t i = 0; i < events.size; ++i) {
        const int64_t t_us = events[i].t;
        const int64_t t = std::max(t_us, reached_us_);
        if (t >= end_us()) {
            if (!silent()) {
                reached_us_ = t;
                return i;
            }
            wake(t);
        }
        clamp(events[i].t);
        if (t < start_us()) {
            ++between_windows_;
            ++first_event_;
        } else {
            keep(events[i], t);
        }
    }
    return events.size;
}

size_t WindowCutter::push_counted(Span<const Event> events) {
    for (size_t i = 0; i < events.size; ++i) {
        if (complete()) return i;
        const int64_t t = clamp(events[i].t);
        if (to_skip_ > 0) {
            --to_skip_;
            ++between_windows_;
            ++first_event_;
        } else {
            keep(events[i], t);
        }
    }
    return events.size;
}

int64_t WindowCutter::clamp(int64_t t_us) noexcept {
    time_clamped_ += t_us < reached_us_;
    reached_us_ = std::max(reached_us_, t_us);
    return reached_us_;
}

void WindowCutter::keep(Event event, int64_t t_us) {
    silent_ = 0;
    if (held() >= options_.max_events) {
        ++window_full_;
        ++lost_;
        return;
    }
    event.t = t_us;
    ring_.push_back(event);
}

// The first window that ends after t.
void WindowCutter::wake(int64_t t_us) noexcept {
    const int64_t bin = options_.grid.bin(t_us - origin_us_);
    const int64_t number = (bin - options_.length) / options_.hop + 1;
    windows_skipped_ += number - number_;
    number_ = number;
    silent_ = 0;
}

void WindowCutter::advance(int64_t t_us) noexcept {
    tidy();
    reached_us_ = std::max(reached_us_, std::min(t_us, kTimeLimit - 1));
}

void WindowCutter::finish() noexcept {
    unfinished_window_ += pending();
    forget(held());
}

void WindowCutter::count(CounterMap& counters) const {
    counters["windows"] += windows_;
    counters["windows_skipped"] += windows_skipped_;
    counters["time_clamped"] += time_clamped_;
    counters["dropped.between_windows"] += between_windows_;
    counters["dropped.window_full"] += window_full_;
    counters["dropped.unfinished_window"] += unfinished_window_;
}

void WindowCutter::save(StateWriter& writer) const {
    const int64_t state[] = {started_,
                             origin_us_,
                             reached_us_,
                             number_,
                             silent_,
                             to_skip_,
                             static_cast<int64_t>(first_event_),
                             static_cast<int64_t>(covered_),
                             lost_};
    const int64_t counts[] = {processed_,    between_windows_, window_full_,    unfinished_window_,
                              time_clamped_, windows_,         windows_skipped_};
    writer.put("state", state, {9});
    writer.put("counters", counts, {7});
    writer.put("events", reinterpret_cast<const uint8_t*>(ring_.data() + head_),
               {static_cast<int64_t>(held()), static_cast<int64_t>(sizeof(Event))});
}

void WindowCutter::load(const StateReader& reader) {
    const std::vector<int64_t> state = reader.get_array<int64_t>("state");
    const std::vector<int64_t> counts = reader.get_counts("counters", 7);
    const std::vector<uint8_t> events = reader.get_array<uint8_t>("events");
    if (state.size() != 9) refuse("state");
    if (events.size() % sizeof(Event) != 0) refuse("events");
    for (size_t i = 3; i < state.size(); ++i)
        if (state[i] < 0) refuse("state");
    started_ = state[0] != 0;
    origin_us_ = state[1], reached_us_ = state[2], number_ = state[3], silent_ = state[4], to_skip_ = state[5];
    first_event_ = static_cast<uint64_t>(state[6]), covered_ = static_cast<size_t>(state[7]), lost_ = state[8];
    processed_ = counts[0], between_windows_ = counts[1], window_full_ = counts[2], unfinished_window_ = counts[3];
    time_clamped_ = counts[4], windows_ = looked_at_ = counts[5], windows_skipped_ = counts[6];
    ring_.resize(events.size() / sizeof(Event));
    head_ = 0;
    if (!events.empty()) std::memcpy(static_cast<void*>(ring_.data()), events.data(), events.size());
    check();
    check_events();
}

int64_t WindowCutter::last_number() const noexcept {
    return 2 * kTimeLimit / (options_.by_count ? options_.hop : options_.hop * options_.grid.bin_us);
}

void WindowCutter::check() const {
    const bool from_first = origin_us_ > -kTimeLimit && origin_us_ <= reached_us_;
    const bool begun = options_.from_zero || !started_ ? origin_us_ == 0 : from_first;
    const bool in_time = reached_us_ >= -kTimeLimit && reached_us_ < kTimeLimit && begun;
    if (!in_time || number_ > last_number()) refuse("state");
    if (lost_ > kMostCounted || first_event_ > static_cast<uint64_t>(kMostCounted)) refuse("state");
    if (silent_ > options_.max_silent || to_skip_ > options_.hop || covered_ > held()) refuse("state");
    if (!started_ && (held() != 0 || number_ != 0)) refuse("state");
    if (held() > options_.max_events) refuse("events");
    if (options_.by_count && held() > static_cast<size_t>(options_.length)) refuse("events");
}

void WindowCutter::check_events() const {
    int64_t latest = options_.by_count ? origin_us_ : start_us();
    for (const Event& event : ring_) {
        const bool inside = event.x < options_.width && event.y < options_.height && event.p <= 1;
        if (!inside || event.t < latest || event.t > reached_us_) refuse("events");
        latest = event.t;
    }
    if (!options_.by_count && held() != 0 && latest >= end_us()) refuse("events");
}

}  // namespace edgesnn::events
