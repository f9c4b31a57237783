// The table of the nibbles_ kernels: for each four inputs, the sums of their weights for all sixteen patterns of
// spikes. [inputs / 4 rounded up][16][stride] int16: eight times the int8 matrix, so for small matrices only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"

namespace edgesnn::kernels {

constexpr size_t kNibbleInputs = 64;  // at most: 64 * 127 = 8,128 fits int16

// w: int8, input-major rows [inputs][stride].
inline std::vector<int16_t> nibble_table(const int8_t* w, size_t inputs, size_t stride) {
    std::vector<int16_t> table((inputs + 3) / 4 * 16 * stride, 0);
    for (size_t k = 0; k < inputs; ++k)
        for (size_t pattern = 0; pattern < 16; ++pattern) {
            if ((pattern >> (k % 4) & 1) == 0) continue;
            int16_t* row = table.data() + (k / 4 * 16 + pattern) * stride;
            for (size_t n = 0; n < stride; ++n) row[n] = static_cast<int16_t>(row[n] + w[k * stride + n]);
        }
    return table;
}

}  // namespace edgesnn::kernels
