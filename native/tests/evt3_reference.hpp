// EVT3 read literally, word by word, after docs/formats.md: the oracle of decode_test and fuzz/evt3_fuzz.
//
// It has all words at hand and tells a TIME_HIGH by looking at those after it, where the decoder must let it wait.
// Damage is left out and counted (skip). It knows no limit to what waits: streams of up to 262,144 events.
#pragma once

#include <algorithm>
#include <vector>

#include "base/event.hpp"
#include "events/decode/decoder.hpp"

namespace edgesnn::evt3_reference {

struct Outcome {
    std::vector<Event> events;
    std::vector<Trigger> triggers;
    int64_t t_end_us = events::kNoTime;
    events::Counters counters;

    void reach(int64_t t_us) { t_end_us = std::max(t_end_us, t_us); }
};

constexpr int kPeriod = 4096;     // of TIME_HIGH
constexpr int64_t kUntimed = -1;  // values of TIME_HIGH: none came yet,
constexpr int64_t kLost = -2;     // or it is damaged, and nothing tells the right one

inline bool wraps(int from, int to) {
    return from >= 3072 && to < 1024;
}
inline bool onward(int from, int to) {
    return to >= from || wraps(from, to);
}

// The believed words so far.
struct Clock {
    int last = -1;  // R; -1: there is none
    int64_t epoch = 0;
    int came = 0;  // how often R came, and the believed word before it
    int came_before = 0;
    int64_t jumps = 0;

    int ahead(int word) const { return (word - last + kPeriod) % kPeriod; }
    bool repeats() const { return came > 1 || came_before > 1; }
    bool close(int word) const { return ahead(word) <= (repeats() ? 15 : 244); }
    bool clear(int word) const { return last >= 0 && (ahead(word) == 0 || (ahead(word) == 1 && !repeats())); }
    int64_t believe(int word) {
        if (last >= 0 && ahead(word) > 1) ++jumps;
        if (last >= 0 && wraps(last, word)) ++epoch;
        came_before = word == last ? came_before : came;
        came = word == last ? came + 1 : 1;
        last = word;
        return epoch * kPeriod + word;
    }
};

// How many words from words[first] on are settled together.
inline size_t group_at(const Clock& clock, const std::vector<int>& words, size_t first) {
    if (clock.last < 0 || clock.clear(words[first])) return 1;
    size_t count = 1;
    while (count < 6 && first + count < words.size() && !clock.close(words[first + count]) &&
           onward(words[first + count - 1], words[first + count]))
        ++count;
    return count;
}

// Whether all words of a group are believed, whatever else holds.
inline bool stands(const Clock& clock, const std::vector<int>& group, int next) {
    if (clock.last < 0) return next < 0 || next >= group[0] || next + kPeriod - group[0] < kPeriod / 16;
    if (clock.clear(group[0]) || group.size() == 6) return true;
    return next < 0 && !clock.repeats() && onward(clock.last, group[0]);
}

// Appends what the words of a group mean; `next` is the word after it, -1: the stream ends.
inline void settle(Clock& clock, const std::vector<int>& group, int next, std::vector<int64_t>& values, int64_t& bad) {
    const bool all = stands(clock, group, next);
    const bool returns = clock.last >= 0 && next >= 0 && clock.close(next);
    bool steps = clock.last >= 0;
    for (const int word : group) {
        if (!all) steps = steps && clock.ahead(word) <= 1;
        if (all || (returns ? clock.ahead(word) <= clock.ahead(next) : steps)) {
            values.push_back(clock.believe(word));
            continue;
        }
        ++bad;
        values.push_back(returns && next == clock.last ? clock.epoch * kPeriod + clock.last : kLost);
    }
}

// What each TIME_HIGH means, wraps added.
inline std::vector<int64_t> high_values(const std::vector<int>& words, events::Counters& counters) {
    Clock clock;
    std::vector<int64_t> values;
    for (size_t at = 0; at < words.size();) {
        const auto first = words.begin() + static_cast<std::ptrdiff_t>(at);
        const std::vector<int> group(first, first + static_cast<std::ptrdiff_t>(group_at(clock, words, at)));
        at += group.size();
        settle(clock, group, at < words.size() ? words[at] : -1, values, counters.bad_words);
    }
    counters.time_resyncs = clock.jumps;
    return values;
}

// What words lean on.
struct Context {
    int64_t high = kUntimed;
    int low = 0;
    int y = -1;  // -1: not seen yet
    int base = -1;
    int base_p = 0;

    int64_t t_us() const { return high < 0 ? high : high * kPeriod + low; }
};

// Takes one event, or counts why not: first where it is, then when.
inline void place(const Context& now, bool based, int x, int p, int width, int height, Outcome& out) {
    const int64_t t_us = now.t_us();
    if (t_us == kUntimed || now.y < 0 || !based) {
        ++out.counters.unplaced_events;
    } else if (x >= width || now.y >= height) {
        ++out.counters.out_of_range;
    } else if (t_us == kLost) {
        ++out.counters.unplaced_events;
    } else {
        if (!out.events.empty() && t_us < out.events.back().t) ++out.counters.time_backward;
        out.events.push_back({t_us, static_cast<uint16_t>(x), static_cast<uint16_t>(now.y), static_cast<uint8_t>(p)});
        out.reach(t_us);
    }
}

// A word that is no TIME_HIGH.
inline void take(int word, Context& now, int width, int height, Outcome& out) {
    const int value = word & 0xFFF;
    switch (word >> 12) {
        case 0x0:
            now.y = value & 0x7FF;
            return;
        case 0x2:
            place(now, true, value & 0x7FF, value >> 11, width, height, out);
            return;
        case 0x3:
            now.base = value & 0x7FF, now.base_p = value >> 11;
            return;
        case 0x4:
        case 0x5: {
            const int span = word >> 12 == 0x4 ? 12 : 8;
            for (int k = 0; k < span; ++k)
                if ((value >> k & 1) != 0) place(now, now.base >= 0, now.base + k, now.base_p, width, height, out);
            if (now.base >= 0) now.base += span;
            return;
        }
        case 0x6:
            now.low = value;
            if (now.high >= 0) out.reach(now.t_us());
            return;
        case 0xA:
            if (now.high < 0) return;
            out.triggers.push_back({now.t_us(), static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value & 1)});
            out.reach(now.t_us());
            return;
        case 0x7:
        case 0xE:
        case 0xF:
            return;
        default:
            ++out.counters.bad_words;
    }
}

// bytes: of the stream behind the header; width, height: of the sensor.
inline Outcome decode(Span<const uint8_t> bytes, int width, int height) {
    Outcome out;
    std::vector<int> words;
    std::vector<int> highs;
    for (size_t i = 0; i + 1 < bytes.size; i += 2) words.push_back(bytes.data[i] | bytes.data[i + 1] << 8);
    for (const int word : words)
        if (word >> 12 == 0x8) highs.push_back(word & 0xFFF);
    const std::vector<int64_t> values = high_values(highs, out.counters);
    Context now;
    size_t seen = 0;
    for (const int word : words) {
        if (word >> 12 != 0x8) {
            take(word, now, width, height, out);
            continue;
        }
        now.high = values[seen++];
        if (now.high >= 0) out.reach(now.high * kPeriod);
    }
    out.counters.truncated_bytes = static_cast<int64_t>(bytes.size % 2);
    return out;
}

}  // namespace edgesnn::evt3_reference
