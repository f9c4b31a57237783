// Point encoding's loops in plain C++: the reference arm, always there. Equations in point_loops.hpp.
#include "encode/point_loops.hpp"

namespace edgesnn::encode {
namespace {

size_t first_equal(const int32_t* values, size_t n, int32_t value) noexcept {
    for (size_t i = 0; i < n; ++i)
        if (values[i] == value) return i;
    return 0;
}

size_t within(const int32_t* distance, size_t n, int32_t bound, uint32_t* found) noexcept {
    size_t count = 0;
    for (size_t i = 0; i < n; ++i) {
        found[count] = static_cast<uint32_t>(i);
        count += distance[i] <= bound;
    }
    return count;
}

#include "encode/point_loops.inl"

}  // namespace

const PointLoops& point_loops__scalar() noexcept {
    static constexpr PointLoops table{farthest, distances, within, bound, places, ranks};
    return table;
}

}  // namespace edgesnn::encode
