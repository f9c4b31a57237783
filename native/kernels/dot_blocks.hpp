// The form of a small int8 matrix for dot products with small integers: sixteen outputs times four inputs together.
// [stride / 16][inputs / 4 rounded up][16][4]. Beyond kDenseWeights reading the rows of active inputs alone is faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgesnn::kernels {

constexpr size_t kDenseWeights = 8192;

// w: input-major rows [inputs][stride].
inline std::vector<int8_t> dot_blocks(const int8_t* w, size_t inputs, size_t stride) {
    const size_t groups = (inputs + 3) / 4;
    std::vector<int8_t> blocks(groups * 4 * stride, 0);
    for (size_t k = 0; k < inputs; ++k)
        for (size_t n = 0; n < stride; ++n)
            blocks[((n / 16 * groups + k / 4) * 16 + n % 16) * 4 + k % 4] = w[k * stride + n];
    return blocks;
}

}  // namespace edgesnn::kernels
