// What the gather kernels of the neon_dotprod arm share: the list of active inputs, and the way of a tile's 16-bit sums
// through 32 bits to the row y.
#pragma once

#include <arm_neon.h>

#include "kernels/active.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

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

// Four final sums to the row y: float, or int32 where the matrix has no scale.
inline void finish(const Matrix& m, size_t column, int32x4_t acc, void* y) noexcept {
    if (m.scale == nullptr) return vst1q_s32(static_cast<int32_t*>(y) + column, acc);
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(m.scale + column));
    vst1q_f32(static_cast<float*>(y) + column, vaddq_f32(scaled, vld1q_f32(m.bias + column)));
}

inline void emit_half(const Matrix& m, const Segment& s, size_t column, int32x4_t acc, void* y) noexcept {
    int32_t* out = static_cast<int32_t*>(y) + column;
    if (!s.first) acc = vaddq_s32(acc, vld1q_s32(out));
    if (s.last) return finish(m, column, acc, y);
    vst1q_s32(out, acc);
}

// Eight 16-bit sums of a segment: what the segments before left in y is added; the last one finishes.
inline void emit(const Matrix& m, const Segment& s, size_t column, int16x8_t sums, void* y) noexcept {
    emit_half(m, s, column, vmovl_s16(vget_low_s16(sums)), y);
    emit_half(m, s, column + 4, vmovl_high_s16(sums), y);
}

}  // namespace
}  // namespace edgesnn::kernels
