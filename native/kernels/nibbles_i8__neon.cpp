// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 64 inputs of 0 or 1: 64 * 127 = 8,128 fits int16. No branch depends on the spikes: for few inputs a
// mispredicted loop over the active ones costs more than all the additions.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

inline void store(const Matrix& m, size_t column, int32x4_t acc, float* y) noexcept {
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(m.scale + column));
    vst1q_f32(y + column, vaddq_f32(scaled, vld1q_f32(m.bias + column)));
}

// 8 * V columns.
template <size_t V>
inline void columns(const Matrix& m, uint64_t spikes, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    int16x8_t acc[V];
    for (size_t v = 0; v < V; ++v) acc[v] = vdupq_n_s16(0);
    for (size_t k = 0; k < m.inputs; k += 4, table += 16 * m.stride, spikes >>= 4) {
        const int16_t* row = table + (spikes & 15) * m.stride;
        for (size_t v = 0; v < V; ++v) acc[v] = vaddq_s16(acc[v], vld1q_s16(row + 8 * v));
    }
    for (size_t v = 0; v < V; ++v) {
        store(m, column + 8 * v, vmovl_s16(vget_low_s16(acc[v])), y);
        store(m, column + 8 * v + 4, vmovl_high_s16(acc[v]), y);
    }
}

inline void row_currents(const Matrix& m, uint64_t spikes, float* y) noexcept {
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64) columns<8>(m, spikes, column, y);
    for (; column < m.stride; column += 16) columns<2>(m, spikes, column, y);
}

#include "kernels/nibbles.inl"

}  // namespace edgesnn::kernels
#endif
