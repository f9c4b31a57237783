// acc[n] = sum over active k of x[k] * W[k][n] in int32; y[n] = float(acc[n]) * scale[n] + bias[n].
// Exact while 127 * inputs * max x < 2^31, which the model's load checks.
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kColumns = 16;

size_t find_active(const uint8_t* x, size_t x_stride, uint32_t* active, uint64_t* sum) noexcept {
    size_t count = 0;
    for (size_t k = 0; k < x_stride; ++k) {
        if (x[k] == 0) continue;
        active[count++] = static_cast<uint32_t>(k);
        *sum += x[k];
    }
    return count;
}

void add_rows(const Matrix& m, const uint8_t* x, const uint32_t* active, size_t count, size_t column,
              float* y) noexcept {
    int32_t acc[kColumns] = {};
    for (size_t i = 0; i < count; ++i) {
        const int8_t* w = static_cast<const int8_t*>(m.weights) + active[i] * m.stride + column;
        for (size_t n = 0; n < kColumns; ++n) acc[n] += w[n] * x[active[i]];
    }
    for (size_t n = 0; n < kColumns; ++n)
        y[column + n] = static_cast<float>(acc[n]) * m.scale[column + n] + m.bias[column + n];
}

}  // namespace

uint64_t counts_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           float* y) noexcept {
    uint64_t sum = 0;
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        const size_t count = find_active(x, x_stride, active, &sum);
        for (size_t column = 0; column < m.stride; column += kColumns) add_rows(m, x, active, count, column, y);
    }
    return sum;
}

// Inputs are 0 or 1: nothing to gain from knowing that here.
uint64_t spikes_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           float* y) noexcept {
    return counts_i8__scalar(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
