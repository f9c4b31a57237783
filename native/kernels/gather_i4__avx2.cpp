// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// Spikes: the biased halves of the bytes are summed in u8 for at most 17 rows (17 * 15 = 255), then in 16 bits for at
// most 4,096: the sums of w lie in [-32,768, 28,672], so the bits of the biased sums minus 8 * rows are right. Counts:
// a byte with its top bit turned is, as a signed number, w_high * 16 + (w_low + 8). Two rows at a time are interleaved
// and multiplied by their two values: all = sum x * byte, low = sum x * (w_low + 8); then w_high's sum is (all - low)
// / 16. A segment's values sum to at most 255: 128 * 255 = 32,640 < 2^15.
#if defined(__x86_64__)
#include "kernels/gather__avx2.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kRows = 17;   // of spikes
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

// 16-bit sums of the bytes 0-7 and 16-23 of a block ([0]) and of the others ([1]).
struct Sums {
    __m256i all[2];
    __m256i low[2];
};

inline void add_half(__m256i& all, __m256i& low, __m256i bytes, __m256i values) noexcept {
    const __m256i whole = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
    all = _mm256_add_epi16(all, _mm256_maddubs_epi16(values, whole));
    low = _mm256_add_epi16(low, _mm256_maddubs_epi16(values, _mm256_and_si256(bytes, _mm256_set1_epi8(15))));
}

// V blocks, or (kHalf, V = 1) half a block.
template <size_t V, bool kHalf>
inline void add_pair(Sums* sums, const uint8_t* a, const uint8_t* b, __m256i values) noexcept {
#pragma GCC unroll 2
    for (size_t v = 0; v < V; ++v) {
        const __m256i c = kHalf ? load_half(a) : load(a + v * kBlock), d = kHalf ? load_half(b) : load(b + v * kBlock);
        add_half(sums[v].all[0], sums[v].low[0], _mm256_unpacklo_epi8(c, d), values);
        add_half(sums[v].all[1], sums[v].low[1], _mm256_unpackhi_epi8(c, d), values);
    }
}

template <int kLane>
inline void emit_lane(const Matrix& m, const Segment& s, size_t column, const Sums& sums, __m256i bias,
                      void* y) noexcept {
    constexpr int kChoice = kLane == 0 ? 0x20 : 0x31;
    if (column >= m.stride) return;
    const __m256i all = _mm256_permute2x128_si256(sums.all[0], sums.all[1], kChoice);
    const __m256i low = _mm256_permute2x128_si256(sums.low[0], sums.low[1], kChoice);
    emit(m, s, column, _mm256_add_epi16(low, bias), y);
    if (column + 16 < m.stride) emit(m, s, column + 16, _mm256_srai_epi16(_mm256_sub_epi16(all, low), 4), y);
}

template <size_t V, bool kHalf>
void counts(const Matrix& m, const Active& a, const Segment& s, size_t offset, __m256i bias, void* y) noexcept {
    const size_t bytes = im4_bytes(m.stride);
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + offset;
    Sums sums[V] = {};
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        const int values = a.x[k] | a.x[l] << 8;
        add_pair<V, kHalf>(sums, w + k * bytes, w + l * bytes, _mm256_set1_epi16(static_cast<int16_t>(values)));
    }
    if (i < s.end) {
        const uint8_t* row = w + a.index[i] * bytes;
        add_pair<V, kHalf>(sums, row, row, _mm256_set1_epi16(a.x[a.index[i]]));
    }
#pragma GCC unroll 2
    for (size_t v = 0; v < V; ++v) {
        emit_lane<0>(m, s, 2 * (offset + v * kBlock), sums[v], bias, y);
        emit_lane<1>(m, s, 2 * (offset + v * kBlock) + 32, sums[v], bias, y);
    }
}

template <bool kCounts, size_t V, bool kHalf>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(-8 * static_cast<int>(s.sum)));
    if constexpr (kCounts) return counts<V, kHalf>(m, a, s, offset, bias, y);
    if (s.sum <= kRows) return few<V, kHalf>(m, a, s, offset, bias, y);
    many<V, kHalf>(m, a, s, offset, bias, y);
}

template <bool kCounts>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    constexpr uint32_t kLimit = kCounts ? 255 : 4096;
    return for_segments<kCounts>(m, x, x_stride, rows, index, kLimit, y, find_active,
                                 [&m](const Active& a, const Segment& s, void* out) {
                                     const size_t bytes = im4_bytes(m.stride);
                                     size_t n = 0;
                                     for (; n + 64 <= bytes; n += 64) tile<kCounts, 2, false>(m, a, s, n, out);
                                     for (; n + 32 <= bytes; n += 32) tile<kCounts, 1, false>(m, a, s, n, out);
                                     if (n < bytes) tile<kCounts, 1, true>(m, a, s, n, out);
                                 });
}

}  // namespace

uint64_t spikes_i4__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i4__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<true>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
