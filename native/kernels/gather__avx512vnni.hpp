// What the gather kernels of the avx512_vnni arm share: the list of active inputs, and the way of a tile's 16-bit sums
// through 32 bits to the row y.
#pragma once

#include "kernels/active.hpp"
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

inline __m512i load(const void* p) noexcept {
    return _mm512_loadu_si512(p);
}

// The first `count` bytes of a vector, all of them from 64 on.
inline __mmask64 first_bytes(size_t count) noexcept {
    return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

// Every vector of sixteen indices is stored whole: at most x_stride indices are written. What lies past the compressed
// ones does not matter; `values` stands there because a compression waits for the old contents of its destination.
inline Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i sums = _mm512_setzero_si512();
    size_t count = 0;
    for (size_t k = 0; k < x_stride; k += 64) {
        const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(x_stride - k), x + k);
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(values, _mm512_setzero_si512()));
        uint64_t mask = _mm512_test_epi8_mask(values, values);
        for (uint32_t at = static_cast<uint32_t>(k); mask != 0; mask >>= 16, at += 16) {
            const auto sixteen = static_cast<__mmask16>(mask);
            const __m512i indices = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(at)));
            _mm512_storeu_si512(index + count, _mm512_mask_compress_epi32(values, sixteen, indices));
            count += static_cast<unsigned>(__builtin_popcount(sixteen));
        }
    }
    return {x, index, count, static_cast<uint64_t>(_mm512_reduce_add_epi64(sums))};
}

// Sixteen final sums to the row y: float, or int32 where the matrix has no scale.
inline void finish(const Matrix& m, size_t column, __m512i acc, void* y) noexcept {
    void* out = static_cast<char*>(y) + 4 * column;
    if (m.scale == nullptr) return _mm512_storeu_si512(out, acc);
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(m.scale + column));
    _mm512_storeu_ps(out, _mm512_add_ps(scaled, _mm512_loadu_ps(m.bias + column)));
}

// Sixteen 16-bit sums of a segment: what the segments before left in y is added; the last one finishes.
inline void emit(const Matrix& m, const Segment& s, size_t column, __m256i sums, void* y) noexcept {
    void* out = static_cast<char*>(y) + 4 * column;
    __m512i acc = _mm512_cvtepi16_epi32(sums);
    if (!s.first) acc = _mm512_add_epi32(acc, load(out));
    if (s.last) return finish(m, column, acc, y);
    _mm512_storeu_si512(out, acc);
}

}  // namespace
}  // namespace edgesnn::kernels
