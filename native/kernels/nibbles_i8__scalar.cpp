// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 64 inputs of 0 or 1: 64 * 127 fits int16.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

inline void row_currents(const Matrix& m, uint64_t spikes, float* y) noexcept {
    for (size_t n = 0; n < m.stride; ++n) y[n] = 0.0F;  // whole numbers until the last loop: exact in any order
    for (size_t k = 0; k < m.inputs; k += 4, spikes >>= 4) {
        const int16_t* weights = static_cast<const int16_t*>(m.weights) + (k / 4 * 16 + (spikes & 15)) * m.stride;
        for (size_t n = 0; n < m.stride; ++n) y[n] += static_cast<float>(weights[n]);
    }
    for (size_t n = 0; n < m.stride; ++n) y[n] = y[n] * m.scale[n] + m.bias[n];
}

#include "kernels/nibbles.inl"

}  // namespace edgesnn::kernels
