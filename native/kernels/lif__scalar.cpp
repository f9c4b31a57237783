// v = v * alpha + x; s = v >= v_th or v > v_th; then v = 0, v - v_th or v where s. Returns the number of spikes.
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

enum class Compare { ge, gt };
enum class Reset { zero, subtract, none };

template <Compare kCompare, Reset kReset>
uint64_t lif(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v,
             uint8_t* s) noexcept {
    uint64_t spikes = 0;
    for (size_t row = 0; row < rows; ++row, x += stride, v += stride, s += stride) {
        for (size_t n = 0; n < stride; ++n) {
            const float u = v[n] * alpha[n] + x[n];
            const bool fired = kCompare == Compare::ge ? u >= v_th[n] : u > v_th[n];
            v[n] = !fired || kReset == Reset::none ? u : kReset == Reset::zero ? 0.0F : u - v_th[n];
            s[n] = fired ? 1 : 0;
            spikes += s[n];
        }
    }
    return spikes;
}

}  // namespace

#define EDGESNN_LIF(name, compare, reset)                                                                      \
    uint64_t name##__scalar(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, \
                            float* v, uint8_t* s) noexcept {                                                   \
        return lif<Compare::compare, Reset::reset>(alpha, v_th, x, rows, stride, v, s);                        \
    }
EDGESNN_LIF(lif_ge_zero, ge, zero)
EDGESNN_LIF(lif_ge_subtract, ge, subtract)
EDGESNN_LIF(lif_ge_none, ge, none)
EDGESNN_LIF(lif_gt_zero, gt, zero)
EDGESNN_LIF(lif_gt_subtract, gt, subtract)
EDGESNN_LIF(lif_gt_none, gt, none)
#undef EDGESNN_LIF

}  // namespace edgesnn::kernels
