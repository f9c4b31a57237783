// What the gather kernels of the avx2 arm share: the list of active inputs, and the way of a tile's 16-bit sums through
// 32 bits to the row y.
#pragma once

#include <immintrin.h>

#include "kernels/active.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kBlock = 32;  // bytes of a row
constexpr size_t kFewest = 0;  // blocks of a tile

// V blocks of the rows of a matrix from byte `offset` on; half a block for V = 0.
template <size_t V>
struct Rows {
    static constexpr size_t kBlocks = V == 0 ? 1 : V, kLeast = V * kBlock;  // bytes that are left

    Rows(const Matrix& m, size_t row_bytes, size_t offset) noexcept
        : w(static_cast<const uint8_t*>(m.weights) + offset), bytes(row_bytes) {}

    const uint8_t* row(size_t k) const noexcept { return w + k * bytes; }
    __m256i block(const uint8_t* row, size_t v) const noexcept {
        if (V == 0) return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + v * kBlock));
    }

    const uint8_t* w;
    size_t bytes;
};

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

// Eight sums of a segment: what the segments before left in y is added; of the last one, float, or int32 where the
// matrix has no scale.
template <typename Part>
EDGESNN_INLINE void emit_half(const Matrix& m, const Part& s, size_t column, __m128i sums, void* y) noexcept {
    char* out = static_cast<char*>(y) + 4 * column;
    auto* acc_out = reinterpret_cast<__m256i*>(out);
    __m256i acc = _mm256_cvtepi16_epi32(sums);
    if (!s.first) acc = _mm256_add_epi32(acc, _mm256_loadu_si256(acc_out));
    if (!s.last || (!s.kUsual && m.scale == nullptr)) return _mm256_storeu_si256(acc_out, acc);
    const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(m.scale + column));
    _mm256_storeu_ps(reinterpret_cast<float*>(out), _mm256_add_ps(scaled, _mm256_loadu_ps(m.bias + column)));
}

// Sixteen 16-bit sums, unless the columns lie past the last.
template <typename Part>
EDGESNN_INLINE void emit_sums(const Matrix& m, const Part& s, size_t column, __m256i sums, void* y) noexcept {
    if (!s.kUsual && column >= m.stride) return;
    emit_half(m, s, column, _mm256_castsi256_si128(sums), y);
    emit_half(m, s, column + 8, _mm256_extracti128_si256(sums, 1), y);
}

}  // namespace
}  // namespace edgesnn::kernels
