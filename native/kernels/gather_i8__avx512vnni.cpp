// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Two rows at a time are interleaved byte by byte, multiplied by their two values and added to int16 tiles in
// registers: exact while |w| <= 127 and a segment's values sum to at most 256: 127 * 256 = 32,512 < 2^15.
// Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 256;
constexpr size_t kBlock = 64;     // columns
constexpr size_t kMaxBlocks = 8;  // of one tile: sixteen vectors of sums

// Columns of a block: `low` holds 0-7, 16-23, 32-39, 48-55, `high` the others.
struct Sums {
    __m512i low;
    __m512i high;
};

inline void add_pair(Sums& sums, __m512i a, __m512i b, __m512i values) noexcept {
    sums.low = _mm512_add_epi16(sums.low, _mm512_maddubs_epi16(values, _mm512_unpacklo_epi8(a, b)));
    sums.high = _mm512_add_epi16(sums.high, _mm512_maddubs_epi16(values, _mm512_unpackhi_epi8(a, b)));
}

// V blocks of columns, of the last one those in `last`.
template <size_t V>
inline void add_rows(Sums* sums, const int8_t* a, const int8_t* b, __m512i values, __mmask64 last) noexcept {
#pragma GCC unroll 8
    for (size_t v = 0; v + 1 < V; ++v) add_pair(sums[v], load(a + v * kBlock), load(b + v * kBlock), values);
    add_pair(sums[V - 1], _mm512_maskz_loadu_epi8(last, a + (V - 1) * kBlock),
             _mm512_maskz_loadu_epi8(last, b + (V - 1) * kBlock), values);
}

inline void emit_block(const Matrix& m, const Segment& s, size_t column, const Sums& sums, void* y) noexcept {
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const __m512i a = _mm512_permutex2var_epi64(sums.low, front, sums.high);
    const __m512i b = _mm512_permutex2var_epi64(sums.low, back, sums.high);
    emit(m, s, column, _mm512_castsi512_si256(a), y);
    if (column + 16 < m.stride) emit(m, s, column + 16, _mm512_extracti64x4_epi64(a, 1), y);
    if (column + 32 < m.stride) emit(m, s, column + 32, _mm512_castsi512_si256(b), y);
    if (column + 48 < m.stride) emit(m, s, column + 48, _mm512_extracti64x4_epi64(b, 1), y);
}

template <bool kCounts, size_t V>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t column, void* y) noexcept {
    const __mmask64 last = first_bytes(m.stride - column - (V - 1) * kBlock);
    const int8_t* w = static_cast<const int8_t*>(m.weights) + column;
    Sums sums[V] = {};
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        const int values = kCounts ? a.x[k] | a.x[l] << 8 : 0x0101;
        add_rows<V>(sums, w + k * m.stride, w + l * m.stride, _mm512_set1_epi16(static_cast<int16_t>(values)), last);
    }
    if (i < s.end) {
        const int8_t* row = w + a.index[i] * m.stride;
        add_rows<V>(sums, row, row, _mm512_set1_epi16(kCounts ? a.x[a.index[i]] : 1), last);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) emit_block(m, s, column + v * kBlock, sums[v], y);
}

template <bool kCounts>
void columns(const Matrix& m, const Active& a, const Segment& s, size_t column, void* y) noexcept {
    switch ((m.stride - column + kBlock - 1) / kBlock) {
        case 1:
            return tile<kCounts, 1>(m, a, s, column, y);
        case 2:
            return tile<kCounts, 2>(m, a, s, column, y);
        case 3:
            return tile<kCounts, 3>(m, a, s, column, y);
        case 4:
            return tile<kCounts, 4>(m, a, s, column, y);
        case 5:
            return tile<kCounts, 5>(m, a, s, column, y);
        case 6:
            return tile<kCounts, 6>(m, a, s, column, y);
        case 7:
            return tile<kCounts, 7>(m, a, s, column, y);
        default:
            return tile<kCounts, kMaxBlocks>(m, a, s, column, y);
    }
}

template <bool kCounts>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_segments<kCounts>(m, x, x_stride, rows, index, kLimit, y, find_active,
                                 [&m](const Active& a, const Segment& s, void* out) {
                                     for (size_t n = 0; n < m.stride; n += kMaxBlocks * kBlock)
                                         columns<kCounts>(m, a, s, n, out);
                                 });
}

}  // namespace

uint64_t spikes_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<true>(m, x, x_stride, rows, active, y);
}

size_t active_u8__avx512vnni(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
