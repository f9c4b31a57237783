// The table of nibbles_i8 and nibbles_lif: for each four inputs, the sums of their weights for all sixteen patterns of
// spikes. [inputs / 4 rounded up][16][stride] int16: eight times the int8 matrix, so for small matrices only. After it
// the weights once more, [stride / 16][inputs / 4 rounded up][16][4] int8, for arms that have dot products of four.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"

namespace edgesnn::kernels {

constexpr size_t kNibbleInputs = 32;  // at most

// w: int8, input-major rows [inputs][stride].
inline std::vector<int16_t> nibble_table(const int8_t* w, size_t inputs, size_t stride) {
    const size_t groups = (inputs + 3) / 4;
    const size_t sums = groups * 16 * stride;
    std::vector<int16_t> table(sums + groups * stride * 2, 0);
    auto* blocks = reinterpret_cast<int8_t*>(table.data() + sums);
    for (size_t k = 0; k < inputs; ++k)
        for (size_t n = 0; n < stride; ++n)
            blocks[((n / 16 * groups + k / 4) * 16 + n % 16) * 4 + k % 4] = w[k * stride + n];
    for (size_t k = 0; k < inputs; ++k)
        for (size_t pattern = 0; pattern < 16; ++pattern) {
            if ((pattern >> (k % 4) & 1) == 0) continue;
            int16_t* row = table.data() + (k / 4 * 16 + pattern) * stride;
            for (size_t n = 0; n < stride; ++n) row[n] = static_cast<int16_t>(row[n] + w[k * stride + n]);
        }
    return table;
}

// The second part of the table that is a matrix's weights.
inline const int8_t* dot_blocks(const Matrix& m) noexcept {
    return reinterpret_cast<const int8_t*>(static_cast<const int16_t*>(m.weights) + (m.inputs + 3) / 4 * 16 * m.stride);
}

}  // namespace edgesnn::kernels
