// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// A byte with its top bit turned is, as a signed number, w_high * 16 + (w_low + 8). Two rows at a time are interleaved
// and multiplied by their two values: all = sum x * byte, low = sum x * (w_low + 8); then w_high's sum is (all - low)
// / 16. A segment's values sum to at most 255: 128 * 255 = 32,640 < 2^15.
#if defined(__x86_64__)
#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 255;
constexpr size_t kBlock = 64;     // bytes: 128 outputs
constexpr size_t kMaxBlocks = 4;  // of one tile

// 16-bit sums of the bytes 0-7, 16-23, 32-39, 48-55 of a block ([0]) and of the others ([1]).
struct Sums {
    __m512i all[2];
    __m512i low[2];
};

inline void add_half(__m512i& all, __m512i& low, __m512i bytes, __m512i values) noexcept {
    const __m512i whole = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
    all = _mm512_add_epi16(all, _mm512_maddubs_epi16(values, whole));
    low = _mm512_add_epi16(low, _mm512_maddubs_epi16(values, _mm512_and_si512(bytes, _mm512_set1_epi8(15))));
}

template <size_t V>
inline void add_rows(Sums* sums, const uint8_t* a, const uint8_t* b, __m512i values, __mmask64 last) noexcept {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const __mmask64 inside = v + 1 < V ? ~__mmask64{0} : last;
        const __m512i c = _mm512_maskz_loadu_epi8(inside, a + v * kBlock);
        const __m512i d = _mm512_maskz_loadu_epi8(inside, b + v * kBlock);
        add_half(sums[v].all[0], sums[v].low[0], _mm512_unpacklo_epi8(c, d), values);
        add_half(sums[v].all[1], sums[v].low[1], _mm512_unpackhi_epi8(c, d), values);
    }
}

template <int kLane>
inline __m256i sixteen(__m512i front, __m512i back) noexcept {
    return _mm256_setr_m128i(_mm512_extracti32x4_epi32(front, kLane), _mm512_extracti32x4_epi32(back, kLane));
}

template <int kLane>
inline void emit_lane(const Matrix& m, const Segment& s, size_t column, const Sums& sums, __m256i bias,
                      void* y) noexcept {
    if (column >= m.stride) return;
    const __m256i all = sixteen<kLane>(sums.all[0], sums.all[1]), low = sixteen<kLane>(sums.low[0], sums.low[1]);
    emit(m, s, column, _mm256_sub_epi16(low, bias), y);
    if (column + 16 < m.stride) emit(m, s, column + 16, _mm256_srai_epi16(_mm256_sub_epi16(all, low), 4), y);
}

// V blocks from byte `offset` of the rows on.
template <size_t V>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const size_t bytes = im4_bytes(m.stride);
    const __mmask64 last = first_bytes(bytes - offset - (V - 1) * kBlock);
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + offset;
    Sums sums[V] = {};
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        const int values = a.x[k] | a.x[l] << 8;
        add_rows<V>(sums, w + k * bytes, w + l * bytes, _mm512_set1_epi16(static_cast<int16_t>(values)), last);
    }
    if (i < s.end) {
        const uint8_t* row = w + a.index[i] * bytes;
        add_rows<V>(sums, row, row, _mm512_set1_epi16(a.x[a.index[i]]), last);
    }
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(8 * s.sum));
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const size_t column = 2 * (offset + v * kBlock);
        emit_lane<0>(m, s, column, sums[v], bias, y);
        emit_lane<1>(m, s, column + 32, sums[v], bias, y);
        emit_lane<2>(m, s, column + 64, sums[v], bias, y);
        emit_lane<3>(m, s, column + 96, sums[v], bias, y);
    }
}

void columns(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    switch ((im4_bytes(m.stride) - offset + kBlock - 1) / kBlock) {
        case 1:
            return tile<1>(m, a, s, offset, y);
        case 2:
            return tile<2>(m, a, s, offset, y);
        case 3:
            return tile<3>(m, a, s, offset, y);
        default:
            return tile<kMaxBlocks>(m, a, s, offset, y);
    }
}

}  // namespace

uint64_t counts_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return for_segments<true>(m, x, x_stride, rows, active, kLimit, y, find_active,
                              [&m](const Active& a, const Segment& s, void* out) {
                                  for (size_t offset = 0; offset < im4_bytes(m.stride); offset += kMaxBlocks * kBlock)
                                      columns(m, a, s, offset, out);
                              });
}

}  // namespace edgesnn::kernels
#endif
