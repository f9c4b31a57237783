// v = v * alpha + x; s = v >= v_th or v > v_th; then v = 0, v - v_th or v where s. Returns the number of spikes.
// Sixteen neurons at a time; v - 0 is v for every v, so the reset is a masked subtraction.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

enum class Compare { ge, gt };
enum class Reset { zero, subtract, none };

// Eight neurons: updates v, returns the mask of those that fired.
template <Compare kCompare, Reset kReset>
inline __m256 eight(const float* alpha, const float* v_th, const float* x, float* v) noexcept {
    constexpr int kPredicate = kCompare == Compare::ge ? _CMP_GE_OQ : _CMP_GT_OQ;
    const __m256 threshold = _mm256_loadu_ps(v_th);
    const __m256 decayed = _mm256_mul_ps(_mm256_loadu_ps(v), _mm256_loadu_ps(alpha));
    const __m256 u = _mm256_add_ps(decayed, _mm256_loadu_ps(x));
    const __m256 fired = _mm256_cmp_ps(u, threshold, kPredicate);
    if constexpr (kReset == Reset::zero) _mm256_storeu_ps(v, _mm256_andnot_ps(fired, u));
    if constexpr (kReset == Reset::subtract) _mm256_storeu_ps(v, _mm256_sub_ps(u, _mm256_and_ps(fired, threshold)));
    if constexpr (kReset == Reset::none) _mm256_storeu_ps(v, u);
    return fired;
}

template <Compare kCompare, Reset kReset>
uint64_t lif(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v,
             uint8_t* s) noexcept {
    const __m128i one = _mm_set1_epi8(1);
    uint64_t spikes = 0;
    for (size_t row = 0; row < rows; ++row, x += stride, v += stride, s += stride) {
        for (size_t n = 0; n < stride; n += 16) {
            const __m256 a = eight<kCompare, kReset>(alpha + n, v_th + n, x + n, v + n);
            const __m256 b = eight<kCompare, kReset>(alpha + n + 8, v_th + n + 8, x + n + 8, v + n + 8);
            const __m256i words = _mm256_packs_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
            const __m256i sorted = _mm256_permute4x64_epi64(words, 0xD8);
            const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(sorted), _mm256_extracti128_si256(sorted, 1));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(s + n), _mm_and_si128(bytes, one));
            spikes += static_cast<unsigned>(__builtin_popcount(static_cast<unsigned>(_mm_movemask_epi8(bytes))));
        }
    }
    return spikes;
}

}  // namespace

#define EDGESNN_LIF(name, compare, reset)                                                                              \
    uint64_t name##__avx2(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v, \
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
