// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n]. Exact while 8 * inputs * max x < 2^31, which the model's load checks.
#include "kernels/gather__scalar.hpp"

namespace edgesnn::kernels {
namespace {

// Sixteen outputs from `column` on: the low or the high halves of sixteen bytes.
void add_rows(const Matrix& m, const Active& a, size_t column, void* y) noexcept {
    const auto* w = static_cast<const uint8_t*>(m.weights) + column / 32 * 16;
    const int shift = column % 32 == 0 ? 0 : 4;
    int32_t acc[kColumns] = {};
    for (size_t i = 0; i < a.count; ++i) {
        const uint8_t* row = w + a.index[i] * im4_bytes(m.stride);
        for (size_t n = 0; n < kColumns; ++n) acc[n] += ((row[n] >> shift & 15) - 8) * a.x[a.index[i]];
    }
    finish(m, column, acc, y);
}

}  // namespace

uint64_t counts_i4__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
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
uint64_t spikes_i4__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                           void* y) noexcept {
    return counts_i4__scalar(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
