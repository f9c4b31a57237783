// Point encoding's loops compiled for AVX2; the two searches, which a compiler does not vectorise, are written out.
// Equations in point_loops.hpp.
#if defined(__x86_64__)
#include <immintrin.h>

#include "encode/point_loops.hpp"

namespace edgesnn::encode {
namespace {

// n % 8 == 0; the value is there.
size_t first_equal(const int32_t* values, size_t n, int32_t value) noexcept {
    const __m256i wanted = _mm256_set1_epi32(value);
    for (size_t i = 0; i < n; i += 8) {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
        const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, wanted)));
        if (mask != 0) return i + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
    }
    return 0;
}

// All ones where a value is above the limit: eight of them.
inline __m256i above(const int32_t* values, __m256i limit) noexcept {
    return _mm256_cmpgt_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values)), limit);
}

size_t within(const int32_t* distance, size_t n, int32_t bound, uint32_t* found) noexcept {
    const __m256i limit = _mm256_set1_epi32(bound), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t count = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const int32_t* d = distance + i;
        const __m256i front = _mm256_packs_epi32(above(d, limit), above(d + 8, limit)),
                      back = _mm256_packs_epi32(above(d + 16, limit), above(d + 24, limit));
        const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(front, back), order);
        for (auto mask = ~static_cast<unsigned>(_mm256_movemask_epi8(bytes)); mask != 0; mask &= mask - 1)
            found[count++] = static_cast<uint32_t>(i) + static_cast<uint32_t>(__builtin_ctz(mask));
    }
    for (; i < n; ++i)
        if (distance[i] <= bound) found[count++] = static_cast<uint32_t>(i);
    return count;
}

#include "encode/point_loops.inl"

}  // namespace

const PointLoops& point_loops__avx2() noexcept {
    static constexpr PointLoops table{farthest, distances, within, bound, places, ranks};
    return table;
}

}  // namespace edgesnn::encode
#endif
