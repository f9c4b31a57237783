// v = v * alpha + x; s = v >= v_th or v > v_th; then v = 0, v - v_th or v where s. Returns the number of spikes.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

enum class Compare { ge, gt };
enum class Reset { zero, subtract, none };

// Four neurons: updates v, returns the mask of those that fired.
template <Compare kCompare, Reset kReset>
inline uint16x4_t four(const float* alpha, const float* v_th, const float* x, float* v) noexcept {
    const float32x4_t threshold = vld1q_f32(v_th);
    const float32x4_t u = vaddq_f32(vmulq_f32(vld1q_f32(v), vld1q_f32(alpha)), vld1q_f32(x));
    const uint32x4_t fired = kCompare == Compare::ge ? vcgeq_f32(u, threshold) : vcgtq_f32(u, threshold);
    const float32x4_t after = kReset == Reset::zero ? vdupq_n_f32(0.0F) : vsubq_f32(u, threshold);
    vst1q_f32(v, kReset == Reset::none ? u : vbslq_f32(fired, after, u));
    return vmovn_u32(fired);
}

template <Compare kCompare, Reset kReset>
uint64_t lif(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v,
             uint8_t* s) noexcept {
    uint64_t spikes = 0;
    for (size_t row = 0; row < rows; ++row, x += stride, v += stride, s += stride) {
        for (size_t n = 0; n < stride; n += 8) {
            const uint16x4_t a = four<kCompare, kReset>(alpha + n, v_th + n, x + n, v + n);
            const uint16x4_t b = four<kCompare, kReset>(alpha + n + 4, v_th + n + 4, x + n + 4, v + n + 4);
            const uint8x8_t bytes = vand_u8(vmovn_u16(vcombine_u16(a, b)), vdup_n_u8(1));
            vst1_u8(s + n, bytes);
            spikes += vaddv_u8(bytes);
        }
    }
    return spikes;
}

}  // namespace

#define EDGESNN_LIF(name, compare, reset)                                                                              \
    uint64_t name##__neon(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v, \
                          uint8_t* s) noexcept {                                                                       \
        return lif<Compare::compare, Reset::reset>(alpha, v_th, x, rows, stride, v, s);                                \
    }
EDGESNN_LIF(lif_ge_zero, ge, zero)
EDGESNN_LIF(lif_ge_subtract, ge, subtract)
EDGESNN_LIF(lif_ge_none, ge, none)
EDGESNN_LIF(lif_gt_zero, gt, zero)
EDGESNN_LIF(lif_gt_subtract, gt, subtract)
EDGESNN_LIF(lif_gt_none, gt, none)
#undef EDGESNN_LIF

}  // namespace edgesnn::kernels
#endif
