// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Only the rows of active inputs are read, through int16 register tiles: exact while |w| <= 127 and a segment's values
// sum to at most 256: 127 * 256 = 32,512 < 2^15. Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__aarch64__)
#include "kernels/gather__neon.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

template <bool kOfCounts>
struct Sums {
    static constexpr bool kCounts = kOfCounts;
    static constexpr uint32_t kLimit = 256;
    static constexpr size_t kBlocks = 8, kOutputs = 1;

    void add(int8x16_t w, uint8_t value) noexcept {
        if constexpr (kCounts) {
            low = vmlaq_n_s16(low, vmovl_s8(vget_low_s8(w)), value);
            high = vmlaq_n_s16(high, vmovl_high_s8(w), value);
        } else {
            low = vaddw_s8(low, vget_low_s8(w));
            high = vaddw_high_s8(high, w);
        }
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_sums(m, s, column, low, y);
        emit_sums(m, s, column + 8, high, y);
    }

    int16x8_t low;
    int16x8_t high;
};

template <bool kCounts, size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Sums<kCounts> (&sums)[V], const Rows& rows, const Active& a,
                                const Segment& s) noexcept {
    for (size_t i = s.begin; i < s.end; ++i) {
        const uint32_t k = a.index[i];
        const uint8_t* row = rows.row(k);
#pragma GCC unroll 8
        for (size_t v = 0; v < V; ++v) sums[v].add(vreinterpretq_s8_u8(rows.block(row, v)), kCounts ? a.x[k] : 1);
    }
}

}  // namespace

uint64_t spikes_i8__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<false>>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<true>>(m, x, x_stride, rows, active, y);
}

size_t active_u8__neon(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
