// acc[n] = sum over active k of w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) * scale[n] +
// bias[n], or acc[n].
// The biased halves of the bytes are summed in u8 for at most 17 rows (17 * 15 = 255), then in 16 bits for at most
// 4,096: the sums of w lie in [-32,768, 28,672], so the bits of the biased sums minus 8 * rows are right.
#if defined(__x86_64__)
#include "kernels/gather__avx2.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 4096;
constexpr size_t kRows = 17;
constexpr size_t kBlock = 32;  // bytes: 64 outputs

// Unsigned bytes: sums of the low halves and of the high halves of at most kRows rows.
struct Bytes {
    __m256i low;
    __m256i high;
};

// 16-bit sums of the low halves of the bytes 0-7 and 16-23, of the others, and the same of the high halves.
struct Words {
    __m256i low[2];
    __m256i high[2];
};

inline void widen(__m256i (&words)[2], __m256i bytes) noexcept {
    const __m256i zero = _mm256_setzero_si256();
    words[0] = _mm256_add_epi16(words[0], _mm256_unpacklo_epi8(bytes, zero));
    words[1] = _mm256_add_epi16(words[1], _mm256_unpackhi_epi8(bytes, zero));
}

// At most kRows rows of V blocks, or (kHalf, V = 1) of half a block.
template <size_t V, bool kHalf>
inline void add_rows(Bytes (&sums)[V], const uint8_t* w, size_t bytes, const uint32_t* index, size_t count) noexcept {
    const __m256i mask = _mm256_set1_epi8(15);
    for (size_t v = 0; v < V; ++v) sums[v] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i < count; ++i) {
        const uint8_t* row = w + index[i] * bytes;
#pragma GCC unroll 2
        for (size_t v = 0; v < V; ++v) {
            const __m256i c = kHalf ? load_half(row) : load(row + v * kBlock);
            sums[v].low = _mm256_add_epi8(sums[v].low, _mm256_and_si256(c, mask));
            sums[v].high = _mm256_add_epi8(sums[v].high, _mm256_and_si256(_mm256_srli_epi16(c, 4), mask));
        }
    }
}

inline void emit_bytes(const Matrix& m, const Segment& s, size_t column, __m128i bytes, __m256i bias,
                       void* y) noexcept {
    if (column < m.stride) emit(m, s, column, _mm256_add_epi16(_mm256_cvtepu8_epi16(bytes), bias), y);
}

// At most kRows rows: from the bytes straight to y.
template <size_t V, bool kHalf>
void few(const Matrix& m, const Active& a, const Segment& s, size_t offset, __m256i bias, void* y) noexcept {
    Bytes sums[V];
    add_rows<V, kHalf>(sums, static_cast<const uint8_t*>(m.weights) + offset, im4_bytes(m.stride), a.index + s.begin,
                       s.sum);
#pragma GCC unroll 2
    for (size_t v = 0; v < V; ++v) {
        const size_t column = 2 * (offset + v * kBlock);
        emit_bytes(m, s, column, _mm256_castsi256_si128(sums[v].low), bias, y);
        emit_bytes(m, s, column + 16, _mm256_castsi256_si128(sums[v].high), bias, y);
        emit_bytes(m, s, column + 32, _mm256_extracti128_si256(sums[v].low, 1), bias, y);
        emit_bytes(m, s, column + 48, _mm256_extracti128_si256(sums[v].high, 1), bias, y);
    }
}

template <int kLane>
inline void emit_words(const Matrix& m, const Segment& s, size_t column, const __m256i (&words)[2], void* y) noexcept {
    if (column < m.stride)
        emit(m, s, column, _mm256_permute2x128_si256(words[0], words[1], kLane == 0 ? 0x20 : 0x31), y);
}

template <size_t V, bool kHalf>
void many(const Matrix& m, const Active& a, const Segment& s, size_t offset, __m256i bias, void* y) noexcept {
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + offset;
    Words words[V];
    for (size_t v = 0; v < V; ++v) words[v] = {{bias, bias}, {bias, bias}};
    for (size_t i = s.begin; i < s.end; i += kRows) {
        Bytes sums[V];
        add_rows<V, kHalf>(sums, w, im4_bytes(m.stride), a.index + i, s.end - i < kRows ? s.end - i : kRows);
#pragma GCC unroll 2
        for (size_t v = 0; v < V; ++v) {
            widen(words[v].low, sums[v].low);
            widen(words[v].high, sums[v].high);
        }
    }
#pragma GCC unroll 2
    for (size_t v = 0; v < V; ++v) {
        const size_t column = 2 * (offset + v * kBlock);
        emit_words<0>(m, s, column, words[v].low, y);
        emit_words<0>(m, s, column + 16, words[v].high, y);
        emit_words<1>(m, s, column + 32, words[v].low, y);
        emit_words<1>(m, s, column + 48, words[v].high, y);
    }
}

template <size_t V, bool kHalf>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(-8 * static_cast<int>(s.sum)));
    if (s.sum <= kRows) return few<V, kHalf>(m, a, s, offset, bias, y);
    many<V, kHalf>(m, a, s, offset, bias, y);
}

}  // namespace

uint64_t spikes_i4__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return for_segments<false>(m, x, x_stride, rows, active, kLimit, y, find_active,
                               [&m](const Active& a, const Segment& s, void* out) {
                                   const size_t bytes = im4_bytes(m.stride);
                                   size_t n = 0;
                                   for (; n + 64 <= bytes; n += 64) tile<2, false>(m, a, s, n, out);
                                   for (; n + 32 <= bytes; n += 32) tile<1, false>(m, a, s, n, out);
                                   if (n < bytes) tile<1, true>(m, a, s, n, out);
                               });
}

}  // namespace edgesnn::kernels
#endif
