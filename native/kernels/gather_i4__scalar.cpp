// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n]. Exact while 8 * inputs * max x < 2^31, which the model's load checks.
#include "kernels/gather__scalar.hpp"

namespace edgesnn::kernels {

uint64_t counts_i4__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    const auto* w = static_cast<const uint8_t*>(m.weights);
    return gather(m, x, x_stride, rows, active, y, [&](size_t k, size_t column, size_t n) {
        const uint8_t byte = w[k * im4_bytes(m.stride) + column / 32 * 16 + n];
        return (column % 32 == 0 ? byte & 15 : byte >> 4) - 8;
    });
}

// Inputs are 0 or 1: nothing to gain from knowing that here.
uint64_t spikes_i4__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    return counts_i4__scalar(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
