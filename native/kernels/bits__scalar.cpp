// Zeros and ones as bits, scalar arm: see bits.inl.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {

void pack_bits__scalar(const uint8_t* x, size_t rows, size_t stride, uint64_t* bits) noexcept {
    for (size_t row = 0; row < rows; ++row, x += stride) {
        uint64_t word = 0;
        for (size_t n = 0; n < stride; ++n) word |= uint64_t{x[n]} << n;
        bits[row] = word;
    }
}

#include "kernels/bits.inl"

}  // namespace edgesnn::kernels
