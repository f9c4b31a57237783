// What the gather kernels of the avx2 arm share: the list of active inputs, and the way of a tile's 16-bit sums through
// 32 bits to the row y.
#pragma once

#include <immintrin.h>

#include "kernels/active.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

inline __m256i load(const void* p) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline __m256i load_half(const void* p) noexcept {
    return _mm256_zextsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}

inline Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
    const __m128i zero = _mm_setzero_si128();
    __m128i sums = zero;
    size_t count = 0;
    for (size_t k = 0; k < x_stride; k += 16) {
        const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + k));
        sums = _mm_add_epi64(sums, _mm_sad_epu8(values, zero));
        unsigned mask = ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(values, zero))) & 0xFFFFU;
        for (; mask != 0; mask &= mask - 1)
            index[count++] = static_cast<uint32_t>(k) + static_cast<uint32_t>(__builtin_ctz(mask));
    }
    const __m128i total = _mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums));
    return {x, index, count, static_cast<uint64_t>(_mm_cvtsi128_si64(total))};
}

// Eight final sums to the row y: float, or int32 where the matrix has no scale.
inline void finish(const Matrix& m, size_t column, __m256i acc, void* y) noexcept {
    char* out = static_cast<char*>(y) + 4 * column;
    if (m.scale == nullptr) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), acc);
    const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(m.scale + column));
    _mm256_storeu_ps(reinterpret_cast<float*>(out), _mm256_add_ps(scaled, _mm256_loadu_ps(m.bias + column)));
}

inline void emit_half(const Matrix& m, const Segment& s, size_t column, __m128i sums, void* y) noexcept {
    auto* out = reinterpret_cast<__m256i*>(static_cast<char*>(y) + 4 * column);
    __m256i acc = _mm256_cvtepi16_epi32(sums);
    if (!s.first) acc = _mm256_add_epi32(acc, _mm256_loadu_si256(out));
    if (s.last) return finish(m, column, acc, y);
    _mm256_storeu_si256(out, acc);
}

// Sixteen 16-bit sums of a segment: what the segments before left in y is added; the last one finishes.
inline void emit(const Matrix& m, const Segment& s, size_t column, __m256i sums, void* y) noexcept {
    emit_half(m, s, column, _mm256_castsi256_si128(sums), y);
    emit_half(m, s, column + 8, _mm256_extracti128_si256(sums, 1), y);
}

}  // namespace
}  // namespace edgesnn::kernels
