// The sums of each output's weights that dot_i8 wants: one of its arms works on q + 128 and takes 128 * sum off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgesnn::kernels {

// w: layout om16x4, [stride / 16][blocks][16][4].
inline std::vector<int32_t> dot_sums(const int8_t* w, size_t blocks, size_t stride) {
    std::vector<int32_t> sums(stride, 0);
    for (size_t block = 0; block < stride / 16 * blocks; ++block)
        for (size_t i = 0; i < 64; ++i) sums[block / blocks * 16 + i / 4] += w[block * 64 + i];
    return sums;
}

}  // namespace edgesnn::kernels
