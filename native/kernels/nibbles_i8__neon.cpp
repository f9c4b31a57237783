// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 32 inputs of 0 or 1: 32 * 127 = 4,064 fits int16. No branch depends on the spikes: for few inputs a
// mispredicted loop over the active ones costs more than all the additions.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

// One bit for each of sixteen inputs of 0 or 1.
inline unsigned spikes_of(const uint8_t* x) noexcept {
    const uint8x8_t places = vcreate_u8(0x8040201008040201U);
    const unsigned low = vaddv_u8(vmul_u8(vld1_u8(x), places)), high = vaddv_u8(vmul_u8(vld1_u8(x + 8), places));
    return low | high << 8;
}

inline void store(const Matrix& m, size_t column, int32x4_t acc, float* y) noexcept {
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(m.scale + column));
    vst1q_f32(y + column, vaddq_f32(scaled, vld1q_f32(m.bias + column)));
}

// 8 * V columns.
template <size_t V>
inline void columns(const Matrix& m, unsigned spikes, size_t groups, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    int16x8_t acc[V];
    for (size_t v = 0; v < V; ++v) acc[v] = vdupq_n_s16(0);
    for (size_t g = 0; g < groups; ++g, table += 16 * m.stride) {
        const int16_t* row = table + (spikes >> (4 * g) & 15U) * m.stride;
        for (size_t v = 0; v < V; ++v) acc[v] = vaddq_s16(acc[v], vld1q_s16(row + 8 * v));
    }
    for (size_t v = 0; v < V; ++v) {
        store(m, column + 8 * v, vmovl_s16(vget_low_s16(acc[v])), y);
        store(m, column + 8 * v + 4, vmovl_high_s16(acc[v]), y);
    }
}

}  // namespace

uint64_t nibbles_i8__neon(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                          void* out) noexcept {
    const size_t groups = (m.inputs + 3) / 4;
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        const unsigned spikes = spikes_of(x) | (x_stride > 16 ? spikes_of(x + 16) << 16 : 0U);
        sum += static_cast<unsigned>(__builtin_popcount(spikes));
        size_t column = 0;
        for (; column + 64 <= m.stride; column += 64) columns<8>(m, spikes, groups, column, y);
        for (; column < m.stride; column += 16) columns<2>(m, spikes, groups, column, y);
    }
    return sum;
}

}  // namespace edgesnn::kernels
#endif
