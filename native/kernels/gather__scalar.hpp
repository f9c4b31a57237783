// What the scalar arm's gather kernels share.
#pragma once

#include <cstring>

#include "kernels/active.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kColumns = 16;

inline Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
    size_t count = 0;
    uint64_t sum = 0;
    for (size_t k = 0; k < x_stride; ++k) {
        if (x[k] == 0) continue;
        index[count++] = static_cast<uint32_t>(k);
        sum += x[k];
    }
    return {x, index, count, sum};
}

// Sixteen sums to the row y: float, or int32 where the matrix has no scale.
inline void finish(const Matrix& m, size_t column, const int32_t* acc, void* y) noexcept {
    char* out = static_cast<char*>(y) + 4 * column;
    float values[kColumns];
    for (size_t n = 0; n < kColumns; ++n)
        values[n] = m.scale == nullptr ? 0.0F : static_cast<float>(acc[n]) * m.scale[column + n] + m.bias[column + n];
    std::memcpy(out, m.scale == nullptr ? static_cast<const void*>(acc) : values, sizeof(values));
}

// Only the rows of active inputs; weights(input, column, n): the weight of the n-th output from `column` on.
template <typename Weights>
inline uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active, void* y,
                       const Weights& weights) noexcept {
    uint64_t sum = 0;
    auto* out = static_cast<char*>(y);
    for (size_t row = 0; row < rows; ++row, x += x_stride, out += 4 * m.stride) {
        const Active a = find_active(x, x_stride, active);
        for (size_t column = 0; column < m.stride; column += kColumns) {
            int32_t acc[kColumns] = {};
            for (size_t i = 0; i < a.count; ++i)
                for (size_t n = 0; n < kColumns; ++n) acc[n] += weights(a.index[i], column, n) * x[a.index[i]];
            finish(m, column, acc, out);
        }
        sum += a.sum;
    }
    return sum;
}

}  // namespace
}  // namespace edgesnn::kernels
