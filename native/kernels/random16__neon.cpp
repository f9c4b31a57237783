// Eight 16-bit numbers a call of Philox4x32-10, four calls a vector: docs/arithmetic.md, section 9.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

using Four = uint32x4x4_t;  // four calls

// low and high words of a * b
inline void multiply(uint32x4_t a, uint32_t b, uint32x4_t& low, uint32x4_t& high) noexcept {
    const uint32x4_t factor = vdupq_n_u32(b);
    const uint32x4_t front = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(factor)));
    const uint32x4_t back = vreinterpretq_u32_u64(vmull_high_u32(a, factor));
    low = vuzp1q_u32(front, back);
    high = vuzp2q_u32(front, back);
}

inline void round(Four& f, uint32_t k0, uint32_t k1) noexcept {
    uint32x4_t low0, high0, low1, high1;
    multiply(f.val[0], 0xD2511F53U, low0, high0);
    multiply(f.val[2], 0xCD9E8D57U, low1, high1);
    f.val[0] = veorq_u32(veorq_u32(high1, f.val[1]), vdupq_n_u32(k0));
    f.val[2] = veorq_u32(veorq_u32(high0, f.val[3]), vdupq_n_u32(k1));
    f.val[1] = low1;
    f.val[3] = low0;
}

inline Four start(size_t call, uint32_t step, uint64_t window) noexcept {
    const uint32x4_t places = vcombine_u32(vcreate_u32(uint64_t{1} << 32), vcreate_u32(uint64_t{3} << 32 | 2));
    return {{vaddq_u32(vdupq_n_u32(static_cast<uint32_t>(call)), places), vdupq_n_u32(step),
             vdupq_n_u32(static_cast<uint32_t>(window)), vdupq_n_u32(static_cast<uint32_t>(window >> 32))}};
}

}  // namespace

void random16__neon(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window, uint16_t* out) noexcept {
    for (size_t call = begin; call < end; call += 8, out += 64) {
        Four low = start(call, step, window), high = start(call + 4, step, window);
        auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
        for (int i = 0; i < 10; ++i, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
            round(low, k0, k1);
            round(high, k0, k1);
        }
        vst4q_u32(reinterpret_cast<uint32_t*>(out), low);
        vst4q_u32(reinterpret_cast<uint32_t*>(out + 32), high);
    }
}

}  // namespace edgesnn::kernels
#endif
