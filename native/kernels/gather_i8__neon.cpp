// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Only the rows of active inputs are read, through int16 register tiles: exact while |w| <= 127 and a segment's values
// sum to at most 256: 127 * 256 = 32,512 < 2^15. Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__aarch64__)
#include "kernels/gather__neon.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 256;
constexpr size_t kBlock = 16;  // columns

struct Sums {
    int16x8_t low;
    int16x8_t high;
};

template <bool kCounts>
inline void add_row(Sums& sums, int8x16_t w, uint8_t value) noexcept {
    if constexpr (kCounts) {
        sums.low = vmlaq_n_s16(sums.low, vmovl_s8(vget_low_s8(w)), value);
        sums.high = vmlaq_n_s16(sums.high, vmovl_high_s8(w), value);
    } else {
        sums.low = vaddw_s8(sums.low, vget_low_s8(w));
        sums.high = vaddw_high_s8(sums.high, w);
    }
}

// V blocks of columns.
template <bool kCounts, size_t V>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t column, void* y) noexcept {
    const int8_t* w = static_cast<const int8_t*>(m.weights) + column;
    Sums sums[V];
    for (size_t v = 0; v < V; ++v) sums[v] = {vdupq_n_s16(0), vdupq_n_s16(0)};
    for (size_t i = s.begin; i < s.end; ++i) {
        const int8_t* row = w + a.index[i] * m.stride;
        const uint8_t value = kCounts ? a.x[a.index[i]] : 1;
#pragma GCC unroll 8
        for (size_t v = 0; v < V; ++v) add_row<kCounts>(sums[v], vld1q_s8(row + v * kBlock), value);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) {
        emit(m, s, column + v * kBlock, sums[v].low, y);
        emit(m, s, column + v * kBlock + 8, sums[v].high, y);
    }
}

template <bool kCounts>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_segments<kCounts>(m, x, x_stride, rows, index, kLimit, y, find_active,
                                 [&m](const Active& a, const Segment& s, void* out) {
                                     size_t n = 0;
                                     for (; n + 128 <= m.stride; n += 128) tile<kCounts, 8>(m, a, s, n, out);
                                     for (; n + 32 <= m.stride; n += 32) tile<kCounts, 2>(m, a, s, n, out);
                                     if (n < m.stride) tile<kCounts, 1>(m, a, s, n, out);
                                 });
}

}  // namespace

uint64_t spikes_i8__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<true>(m, x, x_stride, rows, active, y);
}

size_t active_u8__neon(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
