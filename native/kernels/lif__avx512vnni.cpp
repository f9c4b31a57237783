// v = v * alpha + x; s = v >= v_th or v > v_th; then v = 0, v - v_th or v where s. Returns the number of spikes.
// Sixteen neurons at a time.
#if defined(__x86_64__)
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

enum class Compare { ge, gt };
enum class Reset { zero, subtract, none };

template <Compare kCompare, Reset kReset>
uint64_t lif(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v,
             uint8_t* s) noexcept {
    constexpr int kPredicate = kCompare == Compare::ge ? _CMP_GE_OQ : _CMP_GT_OQ;
    uint64_t spikes = 0;
    for (size_t row = 0; row < rows; ++row, x += stride, v += stride, s += stride) {
        for (size_t n = 0; n < stride; n += 16) {
            const __m512 threshold = _mm512_loadu_ps(v_th + n);
            const __m512 decayed = _mm512_mul_ps(_mm512_loadu_ps(v + n), _mm512_loadu_ps(alpha + n));
            __m512 u = _mm512_add_ps(decayed, _mm512_loadu_ps(x + n));
            const __mmask16 fired = _mm512_cmp_ps_mask(u, threshold, kPredicate);
            if constexpr (kReset == Reset::zero) u = _mm512_mask_mov_ps(u, fired, _mm512_setzero_ps());
            if constexpr (kReset == Reset::subtract) u = _mm512_mask_sub_ps(u, fired, u, threshold);
            _mm512_storeu_ps(v + n, u);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(s + n), _mm_maskz_set1_epi8(fired, 1));
            spikes += static_cast<unsigned>(__builtin_popcount(fired));
        }
    }
    return spikes;
}

}  // namespace

#define EDGESNN_LIF(name, compare, reset)                                                                          \
    uint64_t name##__avx512vnni(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, \
                                float* v, uint8_t* s) noexcept {                                                   \
        return lif<Compare::compare, Reset::reset>(alpha, v_th, x, rows, stride, v, s);                            \
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
