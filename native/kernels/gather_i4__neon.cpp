// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// The biased halves of the bytes are summed in u8 for at most 17 spikes (17 * 15 = 255), or times their value in 16
// bits, until the values sum to 4,096: the sums of x * w then lie in [-32,768, 28,672], so the bits of the biased sums
// minus 8 * the values are right.
#if defined(__aarch64__)
#include "kernels/gather__neon.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 4096;
constexpr size_t kRows = 17;
constexpr size_t kBlock = 16;  // bytes: 32 outputs

// 16-bit sums of outputs 0-7, 8-15, 16-23, 24-31 of a block.
struct Words {
    uint16x8_t sums[4];
};

// At most kRows rows.
template <size_t V>
inline void add_spikes(Words* words, const uint8_t* w, size_t bytes, const uint32_t* index, size_t count) noexcept {
    uint8x16_t low[V], high[V];
    for (size_t v = 0; v < V; ++v) low[v] = high[v] = vdupq_n_u8(0);
    for (size_t i = 0; i < count; ++i) {
        const uint8_t* row = w + index[i] * bytes;
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) {
            const uint8x16_t c = vld1q_u8(row + v * kBlock);
            low[v] = vaddq_u8(low[v], vandq_u8(c, vdupq_n_u8(15)));
            high[v] = vsraq_n_u8(high[v], c, 4);
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        uint16x8_t(&sums)[4] = words[v].sums;
        sums[0] = vaddw_u8(sums[0], vget_low_u8(low[v]));
        sums[1] = vaddw_high_u8(sums[1], low[v]);
        sums[2] = vaddw_u8(sums[2], vget_low_u8(high[v]));
        sums[3] = vaddw_high_u8(sums[3], high[v]);
    }
}

template <size_t V>
inline void add_counts(Words* words, const uint8_t* row, uint8_t value) noexcept {
    const uint8x16_t factor = vdupq_n_u8(value);
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const uint8x16_t c = vld1q_u8(row + v * kBlock), low = vandq_u8(c, vdupq_n_u8(15)), high = vshrq_n_u8(c, 4);
        uint16x8_t(&sums)[4] = words[v].sums;
        sums[0] = vmlal_u8(sums[0], vget_low_u8(low), vget_low_u8(factor));
        sums[1] = vmlal_high_u8(sums[1], low, factor);
        sums[2] = vmlal_u8(sums[2], vget_low_u8(high), vget_low_u8(factor));
        sums[3] = vmlal_high_u8(sums[3], high, factor);
    }
}

template <bool kCounts, size_t V>
inline void add_segment(Words* words, const Matrix& m, const Active& a, const Segment& s, size_t offset) noexcept {
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + offset;
    const size_t bytes = im4_bytes(m.stride);
    if constexpr (kCounts)
        for (size_t i = s.begin; i < s.end; ++i) add_counts<V>(words, w + a.index[i] * bytes, a.x[a.index[i]]);
    else
        for (size_t i = s.begin; i < s.end; i += kRows)
            add_spikes<V>(words, w, bytes, a.index + i, s.end - i < kRows ? s.end - i : kRows);
}

template <bool kCounts, size_t V>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const uint16x8_t bias = vdupq_n_u16(static_cast<uint16_t>(-8 * static_cast<int>(s.sum)));
    Words words[V];
    for (size_t v = 0; v < V; ++v) words[v] = {{bias, bias, bias, bias}};
    add_segment<kCounts, V>(words, m, a, s, offset);
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v)
        for (size_t i = 0; i < 4; ++i) {
            const size_t column = 2 * (offset + v * kBlock) + 8 * i;
            if (column < m.stride) emit(m, s, column, vreinterpretq_s16_u16(words[v].sums[i]), y);
        }
}

template <bool kCounts>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_segments<kCounts>(m, x, x_stride, rows, index, kLimit, y, find_active,
                                 [&m](const Active& a, const Segment& s, void* out) {
                                     const size_t bytes = im4_bytes(m.stride);
                                     size_t n = 0;
                                     for (; n + 64 <= bytes; n += 64) tile<kCounts, 4>(m, a, s, n, out);
                                     for (; n < bytes; n += 16) tile<kCounts, 1>(m, a, s, n, out);
                                 });
}

}  // namespace

uint64_t spikes_i4__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i4__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<true>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
