// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n].
// Only the rows of active inputs are read, through int16 register tiles. Exact while |w| <= 127 and the input values
// between two flushes of a tile to int32 sum to at most 256: 127 * 256 = 32,512 < 2^15. One row's product x * w is at
// most 255 * 127 = 32,385. Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kFlush = 256;

struct Active {
    const uint8_t* x;
    const uint32_t* index;
    size_t count;
    uint64_t sum;
};

Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
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

// acc[v] += x[k] * 16 weights of row k, v = 0..V-1.
template <bool kCounts, int V>
inline void add_row(const int8_t* w, uint8_t value, __m256i* acc) noexcept {
    for (int v = 0; v < V; ++v) {
        __m256i row = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * v)));
        if constexpr (kCounts) row = _mm256_mullo_epi16(row, _mm256_set1_epi16(value));
        acc[v] = _mm256_add_epi16(acc[v], row);
    }
}

inline void store(const Matrix& m, size_t column, __m256i low, __m256i high, float* y) noexcept {
    const __m256 a = _mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(m.scale + column));
    const __m256 b = _mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(m.scale + column + 8));
    _mm256_storeu_ps(y + column, _mm256_add_ps(a, _mm256_loadu_ps(m.bias + column)));
    _mm256_storeu_ps(y + column + 8, _mm256_add_ps(b, _mm256_loadu_ps(m.bias + column + 8)));
}

inline __m256i low_half(__m256i v) noexcept {
    return _mm256_cvtepi16_epi32(_mm256_castsi256_si128(v));
}
inline __m256i high_half(__m256i v) noexcept {
    return _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1));
}

// 16 * V columns; the values sum to at most kFlush.
template <bool kCounts, int V>
void few(const Matrix& m, const Active& a, size_t column, float* y) noexcept {
    const int8_t* w = static_cast<const int8_t*>(m.weights) + column;
    __m256i acc[V];
    for (int v = 0; v < V; ++v) acc[v] = _mm256_setzero_si256();
    for (size_t i = 0; i < a.count; ++i)
        add_row<kCounts, V>(w + a.index[i] * m.stride, kCounts ? a.x[a.index[i]] : 1, acc);
    for (int v = 0; v < V; ++v) store(m, column + 16 * static_cast<size_t>(v), low_half(acc[v]), high_half(acc[v]), y);
}

// 16 columns; any values.
template <bool kCounts>
void many(const Matrix& m, const Active& a, size_t column, float* y) noexcept {
    const int8_t* w = static_cast<const int8_t*>(m.weights) + column;
    __m256i low = _mm256_setzero_si256(), high = low, acc = low;
    uint32_t held = 0;
    for (size_t i = 0; i < a.count; ++i) {
        const uint8_t value = kCounts ? a.x[a.index[i]] : 1;
        if (held + value > kFlush) {
            low = _mm256_add_epi32(low, low_half(acc));
            high = _mm256_add_epi32(high, high_half(acc));
            acc = _mm256_setzero_si256();
            held = 0;
        }
        held += value;
        add_row<kCounts, 1>(w + a.index[i] * m.stride, value, &acc);
    }
    store(m, column, _mm256_add_epi32(low, low_half(acc)), _mm256_add_epi32(high, high_half(acc)), y);
}

template <bool kCounts>
void one_row(const Matrix& m, const Active& active, float* y) noexcept {
    size_t column = 0;
    if (active.sum > kFlush) {
        for (; column < m.stride; column += 16) many<kCounts>(m, active, column, y);
        return;
    }
    for (; column + 64 <= m.stride; column += 64) few<kCounts, 4>(m, active, column, y);
    for (; column + 32 <= m.stride; column += 32) few<kCounts, 2>(m, active, column, y);
    for (; column < m.stride; column += 16) few<kCounts, 1>(m, active, column, y);
}

template <bool kCounts>
uint64_t all_rows(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, float* y) noexcept {
    uint64_t sum = 0;
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        const Active active = find_active(x, x_stride, index);
        one_row<kCounts>(m, active, y);
        sum += active.sum;
    }
    return sum;
}

}  // namespace

uint64_t spikes_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         float* y) noexcept {
    return all_rows<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         float* y) noexcept {
    return all_rows<true>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
