// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// The biased halves of the bytes are summed in u8 for at most 17 spikes (17 * 15 = 255), or times their value in 16
// bits, until the values sum to 4,096: the sums of x * w then lie in [-32,768, 28,672], so the bits of the biased sums
// minus 8 * the values are right.
#if defined(__aarch64__)
#include "kernels/gather__neon.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

constexpr size_t kRows = 17;  // of spikes

// Unsigned bytes: sums of the low halves and of the high halves of at most kRows rows.
struct Bytes {
    void add(uint8x16_t v) noexcept {
        low = vaddq_u8(low, vandq_u8(v, vdupq_n_u8(15)));
        high = vsraq_n_u8(high, v, 4);
    }

    uint8x16_t low;
    uint8x16_t high;
};

// 16-bit sums of outputs 0-7, 8-15, 16-23, 24-31 of a block.
template <bool kOfCounts>
struct Sums {
    static constexpr bool kCounts = kOfCounts;
    static constexpr uint32_t kLimit = 4096;
    static constexpr size_t kBlocks = 4, kOutputs = 2;

    void add(const Bytes& bytes) noexcept {
        words[0] = vaddw_u8(words[0], vget_low_u8(bytes.low));
        words[1] = vaddw_high_u8(words[1], bytes.low);
        words[2] = vaddw_u8(words[2], vget_low_u8(bytes.high));
        words[3] = vaddw_high_u8(words[3], bytes.high);
    }

    void add(uint8x16_t row, uint8x16_t value) noexcept {
        const uint8x16_t low = vandq_u8(row, vdupq_n_u8(15)), high = vshrq_n_u8(row, 4);
        words[0] = vmlal_u8(words[0], vget_low_u8(low), vget_low_u8(value));
        words[1] = vmlal_high_u8(words[1], low, value);
        words[2] = vmlal_u8(words[2], vget_low_u8(high), vget_low_u8(value));
        words[3] = vmlal_high_u8(words[3], high, value);
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        const uint16x8_t bias = vdupq_n_u16(static_cast<uint16_t>(8 * s.sum));
        for (size_t i = 0; i < 4; ++i)
            emit_sums(m, s, column + 8 * i, vreinterpretq_s16_u16(vsubq_u16(words[i], bias)), y);
    }

    uint16x8_t words[4];
};

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Sums<false> (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    for (size_t begin = s.begin; begin < s.end; begin += kRows) {
        const size_t end = s.end - begin < kRows ? s.end : begin + kRows;
        Bytes bytes[V] = {};
        for (size_t i = begin; i < end; ++i) {
            const uint8_t* row = rows.row(a.index[i]);
#pragma GCC unroll 4
            for (size_t v = 0; v < V; ++v) bytes[v].add(rows.block(row, v));
        }
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].add(bytes[v]);
    }
}

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Sums<true> (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    for (size_t i = s.begin; i < s.end; ++i) {
        const uint32_t k = a.index[i];
        const uint8_t* row = rows.row(k);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].add(rows.block(row, v), vdupq_n_u8(a.x[k]));
    }
}

}  // namespace

uint64_t spikes_i4__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<false>>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i4__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<true>>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
