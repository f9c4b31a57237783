// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 32 inputs of 0 or 1: 32 * 127 fits int16.
#include "kernels/arms.hpp"

namespace edgesnn::kernels {

uint64_t nibbles_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                            void* out) noexcept {
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        for (size_t n = 0; n < m.stride; ++n) y[n] = 0.0F;  // whole numbers until the last loop: exact in any order
        for (size_t k = 0; k < m.inputs; k += 4) {
            const unsigned pattern = x[k] | x[k + 1] << 1 | x[k + 2] << 2 | x[k + 3] << 3;
            const int16_t* weights = static_cast<const int16_t*>(m.weights) + (k / 4 * 16 + pattern) * m.stride;
            for (size_t n = 0; n < m.stride; ++n) y[n] += static_cast<float>(weights[n]);
            sum += static_cast<unsigned>(__builtin_popcount(pattern));
        }
        for (size_t n = 0; n < m.stride; ++n) y[n] = y[n] * m.scale[n] + m.bias[n];
    }
    return sum;
}

}  // namespace edgesnn::kernels
