// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n]. At most 32 inputs of 0 or 1: 32 * 127 = 4,064 fits int16. No branch depends on the spikes: for few inputs a
// mispredicted loop over the active ones costs more than all the additions.
#if defined(__x86_64__)
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

inline unsigned spikes_of(const uint8_t* x, size_t x_stride) noexcept {
    const __mmask32 inside = x_stride > 16 ? 0xFFFFFFFFU : 0xFFFFU;
    const __m256i bytes = _mm256_maskz_loadu_epi8(inside, x);
    return _mm256_test_epi8_mask(bytes, bytes);
}

inline void store(const Matrix& m, size_t column, __m256i acc, float* y) noexcept {
    const __m512 whole = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(acc));
    const __m512 scaled = _mm512_mul_ps(whole, _mm512_loadu_ps(m.scale + column));
    _mm512_storeu_ps(y + column, _mm512_add_ps(scaled, _mm512_loadu_ps(m.bias + column)));
}

// 32 * V columns.
template <size_t V>
inline void columns(const Matrix& m, unsigned spikes, size_t groups, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    __m512i acc[V] = {};
    for (size_t g = 0; g < groups; ++g, table += 16 * m.stride) {
        const int16_t* row = table + (spikes >> (4 * g) & 15U) * m.stride;
        for (size_t v = 0; v < V; ++v) acc[v] = _mm512_add_epi16(acc[v], _mm512_loadu_si512(row + 32 * v));
    }
    for (size_t v = 0; v < V; ++v) {
        store(m, column + 32 * v, _mm512_castsi512_si256(acc[v]), y);
        store(m, column + 32 * v + 16, _mm512_extracti64x4_epi64(acc[v], 1), y);
    }
}

inline void sixteen_columns(const Matrix& m, unsigned spikes, size_t groups, size_t column, float* y) noexcept {
    const int16_t* table = static_cast<const int16_t*>(m.weights) + column;
    __m256i acc = _mm256_setzero_si256();
    for (size_t g = 0; g < groups; ++g, table += 16 * m.stride) {
        const int16_t* row = table + (spikes >> (4 * g) & 15U) * m.stride;
        acc = _mm256_add_epi16(acc, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
    }
    store(m, column, acc, y);
}

}  // namespace

uint64_t nibbles_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                                void* out) noexcept {
    const size_t groups = (m.inputs + 3) / 4;
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        const unsigned spikes = spikes_of(x, x_stride);
        sum += static_cast<unsigned>(__builtin_popcount(spikes));
        size_t column = 0;
        for (; column + 128 <= m.stride; column += 128) columns<4>(m, spikes, groups, column, y);
        for (; column + 32 <= m.stride; column += 32) columns<1>(m, spikes, groups, column, y);
        if (column < m.stride) sixteen_columns(m, spikes, groups, column, y);
    }
    return sum;
}

}  // namespace edgesnn::kernels
#endif
