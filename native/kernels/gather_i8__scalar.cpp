// acc[n] = sum over active k of x[k] * W[k][n] in int32; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Exact while 127 * inputs * max x < 2^31, which the model's load checks.
#include "kernels/gather__scalar.hpp"

namespace edgesnn::kernels {
namespace {

void add_rows(const Matrix& m, const Active& a, size_t column, void* y) noexcept {
    int32_t acc[kColumns] = {};
    for (size_t i = 0; i < a.count; ++i) {
        const int8_t* w = static_cast<const int8_t*>(m.weights) + a.index[i] * m.stride + column;
        for (size_t n = 0; n < kColumns; ++n) acc[n] += w[n] * a.x[a.index[i]];
    }
    finish(m, column, acc, y);
}

}  // namespace

uint64_t counts_i8__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    uint64_t sum = 0;
    auto* out = static_cast<char*>(y);
    for (size_t row = 0; row < rows; ++row, x += x_stride, out += 4 * m.stride) {
        const Active a = find_active(x, x_stride, active);
        for (size_t column = 0; column < m.stride; column += kColumns) add_rows(m, a, column, out);
        sum += a.sum;
    }
    return sum;
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
