// Zeros and ones as bits, neon arm: see bits.inl.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {

void pack_bits__neon(const uint8_t* x, size_t rows, size_t stride, uint64_t* bits) noexcept {
    const uint8x8_t places = vcreate_u8(0x8040201008040201U);
    for (size_t row = 0; row < rows; ++row, x += stride) {
        uint64_t word = 0;
        for (size_t n = 0; n < stride; n += 8) word |= uint64_t{vaddv_u8(vmul_u8(vld1_u8(x + n), places))} << n;
        bits[row] = word;
    }
}

#include "kernels/bits.inl"

}  // namespace edgesnn::kernels
#endif
