// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 64 inputs of 0 or 1: 64 * 127 = 8,128 fits int16. No branch depends on the spikes: for few inputs a
// mispredicted loop over the active ones costs more than all the additions.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

inline void store(const Matrix& m, size_t column, __m128i acc, float* y) noexcept {
    const __m256 whole = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(acc));
    const __m256 scaled = _mm256_mul_ps(whole, _mm256_loadu_ps(m.scale + column));
    _mm256_storeu_ps(y + column, _mm256_add_ps(scaled, _mm256_loadu_ps(m.bias + column)));
}

// 16 * V columns.
template <int V>
inline void columns(const Matrix& m, uint64_t spikes, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    __m256i acc[V];
    for (int v = 0; v < V; ++v) acc[v] = _mm256_setzero_si256();
    for (size_t k = 0; k < m.inputs; k += 4, table += 16 * m.stride, spikes >>= 4) {
        const int16_t* row = table + (spikes & 15) * m.stride;
        for (int v = 0; v < V; ++v)
            acc[v] = _mm256_add_epi16(acc[v], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 16 * v)));
    }
    for (int v = 0; v < V; ++v) {
        const size_t n = column + 16 * static_cast<size_t>(v);
        store(m, n, _mm256_castsi256_si128(acc[v]), y);
        store(m, n + 8, _mm256_extracti128_si256(acc[v], 1), y);
    }
}

inline void row_currents(const Matrix& m, uint64_t spikes, float* y) noexcept {
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64) columns<4>(m, spikes, column, y);
    for (; column + 32 <= m.stride; column += 32) columns<2>(m, spikes, column, y);
    for (; column < m.stride; column += 16) columns<1>(m, spikes, column, y);
}

#include "kernels/nibbles.inl"

}  // namespace edgesnn::kernels
#endif
