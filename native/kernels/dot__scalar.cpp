// acc[n] = sum over k of w[n][k] * q[k], or of groups of it times their multipliers; y[n] = ((float(acc[n]) * scale[n])
// * s_x) + bias[n]. Layouts and bounds: DotMatrix in kernels.hpp.
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

int32_t dot_row_i8(const DotMatrix& m, const int8_t* q, size_t n) noexcept {
    const int8_t* w = static_cast<const int8_t*>(m.weights) + n / 16 * m.blocks * 64 + n % 16 * 4;
    int32_t acc = 0;
    for (size_t k = 0; k < m.inputs; ++k) acc += w[k / 4 * 64 + k % 4] * q[k];
    return acc;
}

int32_t dot_row_i4(const DotMatrix& m, const int8_t* q, size_t n) noexcept {
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + n / 16 * m.blocks * 64 + n % 16 * 4;
    int32_t acc = 0;
    for (size_t k = 0; k < m.inputs; ++k) {
        const uint8_t byte = w[k / 8 * 64 + k % 4];
        acc += m.multipliers[k / m.group * m.stride + n] * (((k % 8 < 4 ? byte & 15 : byte >> 4) - 8) * q[k]);
    }
    return acc;
}

void finish(const DotMatrix& m, int32_t acc, float s_x, size_t n, float* y) noexcept {
    y[n] = ((static_cast<float>(acc) * m.scale[n]) * s_x) + m.bias[n];
}

}  // namespace

void dot_i8__scalar(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                    float* y) noexcept {
    for (size_t row = 0; row < rows; ++row, q += q_stride, y += m.stride)
        for (size_t n = 0; n < m.outputs; ++n) finish(m, dot_row_i8(m, q, n), s_x[row], n, y);
}

void dot_i4__scalar(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                    float* y) noexcept {
    for (size_t row = 0; row < rows; ++row, q += q_stride, y += m.stride)
        for (size_t n = 0; n < m.outputs; ++n) finish(m, dot_row_i4(m, q, n), s_x[row], n, y);
}

}  // namespace edgesnn::kernels
