// float32 matrices.
// events_f32: acc[n] = 0 + W[k][n] * x[k] + ... over active k, ascending. y[n] = acc[n] * scale[n] + bias[n].
// lanes_f32: lane j takes the products j, j + 16, ... in order; then lanes j and j + 8, + 4, + 2, + 1 are added. A lane
// without a product is +0 and a lane is never -0, so lanes beyond the inputs are left out.
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kColumns = 16;
constexpr size_t kLanes = 16;

void finish(const Matrix& m, size_t column, const float* acc, float* y) noexcept {
    if (m.scale == nullptr)
        for (size_t n = 0; n < kColumns; ++n) y[column + n] = acc[n] + m.bias[column + n];
    else
        for (size_t n = 0; n < kColumns; ++n) y[column + n] = acc[n] * m.scale[column + n] + m.bias[column + n];
}

void sum_lanes(const Matrix& m, const float* x, size_t column, float* y) noexcept {
    const float* weights = static_cast<const float*>(m.weights) + column;
    float lanes[kLanes][kColumns];
    size_t count = m.inputs < kLanes ? m.inputs : kLanes;
    for (size_t j = 0; j < count; ++j)
        for (size_t n = 0; n < kColumns; ++n) lanes[j][n] = 0.0F + weights[j * m.stride + n] * x[j];
    for (size_t k = kLanes; k < m.inputs; ++k)
        for (size_t n = 0; n < kColumns; ++n) lanes[k % kLanes][n] += weights[k * m.stride + n] * x[k];
    for (size_t half = kLanes / 2; half > 0; half /= 2) {
        for (size_t j = 0; j + half < count; ++j)
            for (size_t n = 0; n < kColumns; ++n) lanes[j][n] += lanes[j + half][n];
        count = count < half ? count : half;
    }
    finish(m, column, lanes[0], y);
}

void sum_active(const Matrix& m, const uint8_t* x, const uint32_t* active, size_t count, size_t column,
                float* y) noexcept {
    const float* weights = static_cast<const float*>(m.weights) + column;
    float acc[kColumns] = {};
    for (size_t i = 0; i < count; ++i) {
        const float* w = weights + active[i] * m.stride;
        const float value = static_cast<float>(x[active[i]]);
        for (size_t n = 0; n < kColumns; ++n) acc[n] += w[n] * value;
    }
    finish(m, column, acc, y);
}

}  // namespace

uint64_t events_f32__scalar(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                            void* y) noexcept {
    uint64_t sum = 0;
    float* out = static_cast<float*>(y);
    for (size_t row = 0; row < rows; ++row, x += x_stride, out += m.stride) {
        size_t count = 0;
        for (size_t k = 0; k < x_stride; ++k) {
            if (x[k] == 0) continue;
            active[count++] = static_cast<uint32_t>(k);
            sum += x[k];
        }
        for (size_t column = 0; column < m.stride; column += kColumns) sum_active(m, x, active, count, column, out);
    }
    return sum;
}

void lanes_f32__scalar(const Matrix& m, const float* x, size_t x_stride, size_t rows, float* y) noexcept {
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride)
        for (size_t column = 0; column < m.stride; column += kColumns) sum_lanes(m, x, column, y);
}

}  // namespace edgesnn::kernels
