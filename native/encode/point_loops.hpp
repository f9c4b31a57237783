// The inner loops of point encoding, one table per instruction set. Same bits from every table: all of it is integers.
// Coordinates are int16 columns in [0, 16383] (squared distances are at most 3 * 16383^2 = 805,208,067 < 2^31), padded
// to kPad points; every column is kPad-aligned in length, not in address. Nothing here allocates, throws or logs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgesnn::encode {

constexpr size_t kPad = 64;        // columns are padded to a multiple of this
constexpr size_t kMaxLanes = 256;  // lanes of `distances`, at most
constexpr size_t kLoopLanes = 8;   // of the loops that are written in vectors

struct Columns {
    const int16_t* x;
    const int16_t* y;
    const int16_t* t;
    size_t padded;  // multiple of kPad; padding repeats point 0
};

struct PointLoops {
    // distance[i] = min(distance[i], |p[i] - p[from]|^2); returns the lowest index of the largest.
    size_t (*farthest)(const Columns& points, size_t from, int32_t* distance) noexcept;
    // distance[i] = |p[i] - p[from]|^2; lowest[j] = min of distance[i] over i % lanes == j. lanes: multiple of 16,
    // divides padded.
    void (*distances)(const Columns& points, size_t from, size_t lanes, int32_t* distance, int32_t* lowest) noexcept;
    // found[] = indices i < n with distance[i] <= bound, ascending; returns how many. found holds n.
    size_t (*within)(const int32_t* distance, size_t n, int32_t bound, uint32_t* found) noexcept;
    // A value that at least k of the values reach and few more: found by halving the range between the least and the
    // largest. n: multiple of kLoopLanes, 1 <= k <= n; values >= 0.
    int32_t (*bound)(const int32_t* values, size_t n, size_t k) noexcept;
    // place[i] = where value i stands when sorted by (value, index). Both hold n rounded up to kLoopLanes; what lies
    // beyond n does not matter. Takes n^2 / kLoopLanes comparisons.
    void (*places)(const int32_t* values, size_t n, int32_t* place) noexcept;
    // rank[i] = first word of philox(key, (first + i low, first + i high, ~0, ~0)).
    void (*ranks)(uint64_t key, uint64_t first, size_t n, uint32_t* rank) noexcept;
};

const PointLoops& point_loops__scalar() noexcept;
#if defined(__x86_64__)
const PointLoops& point_loops__avx2() noexcept;
#endif

// The table for this machine; EDGESNN_ARM=scalar forces the plain one. Decided once.
const PointLoops& point_loops() noexcept;

}  // namespace edgesnn::encode
