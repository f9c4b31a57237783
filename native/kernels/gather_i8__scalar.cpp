// acc[n] = sum over active k of x[k] * W[k][n] in int32; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Exact while 127 * inputs * max x < 2^31, which the model's load checks.
#include "kernels/gather__scalar.hpp"

namespace edgesnn::kernels {

uint64_t counts_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    const auto* w = static_cast<const int8_t*>(m.weights);
    return gather(m, x, x_stride, rows, active, y,
                  [&](size_t k, size_t column, size_t n) { return w[k * m.stride + column + n]; });
}

// Inputs are 0 or 1: nothing to gain from knowing that here.
uint64_t spikes_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    return counts_i8__scalar(m, x, x_stride, rows, active, y);
}

size_t active_u8__scalar(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
