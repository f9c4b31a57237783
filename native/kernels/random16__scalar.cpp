// Eight 16-bit numbers a call of Philox4x32-10: docs/arithmetic.md, section 9.
#include "base/philox.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {

void random16__scalar(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window, uint16_t* out) noexcept {
    const auto low = static_cast<uint32_t>(window), high = static_cast<uint32_t>(window >> 32);
    for (size_t call = begin; call < end; ++call)
        for (const uint32_t word : philox4x32(key, {static_cast<uint32_t>(call), step, low, high})) {
            *out++ = static_cast<uint16_t>(word);
            *out++ = static_cast<uint16_t>(word >> 16);
        }
}

}  // namespace edgesnn::kernels
