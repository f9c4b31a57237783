// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 32 inputs of 0 or 1: 32 * 127 = 4,064 fits int16. No branch depends on the spikes: for few inputs a
// mispredicted loop over the active ones costs more than all the additions.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

inline unsigned spikes_of(const uint8_t* x) noexcept {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_slli_epi16(bytes, 7)));  // bit 0 of each byte to its bit 7
}

inline void store(const Matrix& m, size_t column, __m128i acc, float* y) noexcept {
    const __m256 whole = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(acc));
    const __m256 scaled = _mm256_mul_ps(whole, _mm256_loadu_ps(m.scale + column));
    _mm256_storeu_ps(y + column, _mm256_add_ps(scaled, _mm256_loadu_ps(m.bias + column)));
}

// 16 * V columns.
template <int V>
inline void columns(const Matrix& m, unsigned spikes, size_t groups, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    __m256i acc[V];
    for (int v = 0; v < V; ++v) acc[v] = _mm256_setzero_si256();
    for (size_t g = 0; g < groups; ++g, table += 16 * m.stride) {
        const int16_t* row = table + (spikes >> (4 * g) & 15U) * m.stride;
        for (int v = 0; v < V; ++v)
            acc[v] = _mm256_add_epi16(acc[v], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 16 * v)));
    }
    for (int v = 0; v < V; ++v) {
        const size_t n = column + 16 * static_cast<size_t>(v);
        store(m, n, _mm256_castsi256_si128(acc[v]), y);
        store(m, n + 8, _mm256_extracti128_si256(acc[v], 1), y);
    }
}

}  // namespace

uint64_t nibbles_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                          void* out) noexcept {
    const size_t groups = (m.inputs + 3) / 4;
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        const unsigned spikes = spikes_of(x) | (x_stride > 16 ? spikes_of(x + 16) << 16 : 0U);
        sum += static_cast<unsigned>(__builtin_popcount(spikes));
        size_t column = 0;
        for (; column + 64 <= m.stride; column += 64) columns<4>(m, spikes, groups, column, y);
        for (; column + 32 <= m.stride; column += 32) columns<2>(m, spikes, groups, column, y);
        for (; column < m.stride; column += 16) columns<1>(m, spikes, groups, column, y);
    }
    return sum;
}

}  // namespace edgesnn::kernels
#endif
