// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Two rows at a time are interleaved byte by byte, multiplied by their two values and added to int16 tiles in
// registers: exact while |w| <= 127 and a segment's values sum to at most 256: 127 * 256 = 32,512 < 2^15.
// Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
#include "kernels/gather__avx2.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 256;
constexpr size_t kBlock = 32;  // columns

// Columns of a block: `low` holds 0-7, 16-23, `high` the others.
struct Sums {
    __m256i low;
    __m256i high;
};

// V blocks of columns, or (kHalf, V = 1) half a block.
template <size_t V, bool kHalf>
inline void add_rows(Sums* sums, const int8_t* a, const int8_t* b, __m256i values) noexcept {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const __m256i c = kHalf ? load_half(a) : load(a + v * kBlock), d = kHalf ? load_half(b) : load(b + v * kBlock);
        sums[v].low = _mm256_add_epi16(sums[v].low, _mm256_maddubs_epi16(values, _mm256_unpacklo_epi8(c, d)));
        sums[v].high = _mm256_add_epi16(sums[v].high, _mm256_maddubs_epi16(values, _mm256_unpackhi_epi8(c, d)));
    }
}

template <bool kCounts, size_t V, bool kHalf>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t column, void* y) noexcept {
    const int8_t* w = static_cast<const int8_t*>(m.weights) + column;
    Sums sums[V] = {};
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        const int values = kCounts ? a.x[k] | a.x[l] << 8 : 0x0101;
        add_rows<V, kHalf>(sums, w + k * m.stride, w + l * m.stride, _mm256_set1_epi16(static_cast<int16_t>(values)));
    }
    if (i < s.end) {
        const int8_t* row = w + a.index[i] * m.stride;
        add_rows<V, kHalf>(sums, row, row, _mm256_set1_epi16(kCounts ? a.x[a.index[i]] : 1));
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        emit(m, s, column + v * kBlock, _mm256_permute2x128_si256(sums[v].low, sums[v].high, 0x20), y);
        if (!kHalf) emit(m, s, column + v * kBlock + 16, _mm256_permute2x128_si256(sums[v].low, sums[v].high, 0x31), y);
    }
}

template <bool kCounts>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_segments<kCounts>(m, x, x_stride, rows, index, kLimit, y, find_active,
                                 [&m](const Active& a, const Segment& s, void* out) {
                                     size_t n = 0;
                                     for (; n + 128 <= m.stride; n += 128) tile<kCounts, 4, false>(m, a, s, n, out);
                                     for (; n + 32 <= m.stride; n += 32) tile<kCounts, 1, false>(m, a, s, n, out);
                                     if (n < m.stride) tile<kCounts, 1, true>(m, a, s, n, out);
                                 });
}

}  // namespace

uint64_t spikes_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<true>(m, x, x_stride, rows, active, y);
}

size_t active_u8__avx2(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
