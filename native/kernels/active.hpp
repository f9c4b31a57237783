// The list of active inputs that every gather kernel walks, and the parts of it that a tile of narrow sums holds.
#pragma once

#include "kernels/kernels.hpp"

namespace edgesnn::kernels {
namespace {

// The inputs k with x[k] != 0, ascending, and the sum of all x; whether no x is above 127, where an arm asks for it.
struct Active {
    const uint8_t* x;
    const uint32_t* index;
    size_t count;
    uint64_t sum;
    bool small = false;
};

// Active inputs begin to end - 1, the sum of their values, and whether they are the first and the last of the list.
struct Segment {
    static constexpr bool kUsual = false;
    size_t begin;
    size_t end;
    uint32_t sum;
    bool first;
    bool last;
};

// A segment that is the whole list, its sums the outputs of a matrix with a scale, which has all columns of the tile:
// what nearly all are, with nothing to ask about each sum.
struct UsualSegment {
    static constexpr bool kUsual = true, first = true, last = true;
    uint32_t sum;
};

// The longest segment from `begin` on whose values sum to at most `limit` (at least 255, so it is never empty).
template <bool kCounts>
inline Segment segment(const Active& a, size_t begin, uint32_t limit) noexcept {
    if (a.sum <= limit) return {0, a.count, static_cast<uint32_t>(a.sum), true, true};
    size_t end = begin;
    uint32_t sum = 0;
    if (kCounts) {
        for (; end < a.count && sum + a.x[a.index[end]] <= limit; ++end) sum += a.x[a.index[end]];
    } else {
        end = a.count - begin < limit ? a.count : begin + limit;
        sum = static_cast<uint32_t>(end - begin);
    }
    return {begin, end, sum, begin == 0, end == a.count};
}

// columns(segment) for each segment of the list in turn.
template <bool kCounts, class Columns>
inline void for_segments(const Active& a, uint32_t limit, Columns columns) noexcept {
    Segment s = segment<kCounts>(a, 0, limit);
    columns(s);
    while (!s.last) columns(s = segment<kCounts>(a, s.end, limit));
}

}  // namespace
}  // namespace edgesnn::kernels
