// What the gather kernels of the neon_dotprod arm share: the list of active inputs, and the way of a tile's 16-bit sums
// through 32 bits to the row y.
#pragma once

#include <arm_neon.h>

#include "kernels/active.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kBlock = 16;  // bytes of a row
constexpr size_t kFewest = 1;  // blocks of a tile

// V blocks of the rows of a matrix from byte `offset` on.
template <size_t V>
struct Rows {
    static constexpr size_t kBlocks = V, kLeast = V * kBlock;  // bytes that are left

    Rows(const Matrix& m, size_t row_bytes, size_t offset) noexcept
        : w(static_cast<const uint8_t*>(m.weights) + offset), bytes(row_bytes) {}

    const uint8_t* row(size_t k) const noexcept { return w + k * bytes; }
    uint8x16_t block(const uint8_t* row, size_t v) const noexcept { return vld1q_u8(row + v * kBlock); }

    const uint8_t* w;
    size_t bytes;
};

// Four bits a byte of a 64-bit mask: what narrowing by four leaves of a comparison's bytes.
inline Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
    uint64_t sum = 0;
    size_t count = 0;
    for (size_t k = 0; k < x_stride; k += 16) {
        const uint8x16_t values = vld1q_u8(x + k);
        sum += vaddlvq_u8(values);
        const uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8(vtstq_u8(values, values)), 4);
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(narrow), 0) & 0x1111111111111111U;
        for (; mask != 0; mask &= mask - 1)
            index[count++] = static_cast<uint32_t>(k) + static_cast<uint32_t>(__builtin_ctzll(mask)) / 4;
    }
    return {x, index, count, sum};
}

// Four sums of a segment: what the segments before left in y is added; of the last one, float, or int32 where the
// matrix has no scale.
template <typename Part>
EDGESNN_INLINE void emit_half(const Matrix& m, const Part& s, size_t column, int32x4_t acc, void* y) noexcept {
    int32_t* out = static_cast<int32_t*>(y) + column;
    if (!s.first) acc = vaddq_s32(acc, vld1q_s32(out));
    if (!s.last || (!s.kUsual && m.scale == nullptr)) return vst1q_s32(out, acc);
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(m.scale + column));
    vst1q_f32(static_cast<float*>(y) + column, vaddq_f32(scaled, vld1q_f32(m.bias + column)));
}

// Eight 16-bit sums, unless the columns lie past the last.
template <typename Part>
EDGESNN_INLINE void emit_sums(const Matrix& m, const Part& s, size_t column, int16x8_t sums, void* y) noexcept {
    if (!s.kUsual && column >= m.stride) return;
    emit_half(m, s, column, vmovl_s16(vget_low_s16(sums)), y);
    emit_half(m, s, column + 4, vmovl_high_s16(sums), y);
}

}  // namespace
}  // namespace edgesnn::kernels
