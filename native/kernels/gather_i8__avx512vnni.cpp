// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Two rows at a time are interleaved byte by byte, multiplied by their two values and added to int16 tiles in
// registers: exact while |w| <= 127 and a segment's values sum to at most 256: 127 * 256 = 32,512 < 2^15.
// Several rows through a large matrix, nearly half of their inputs active: dot products of four inputs (vpdpbusd),
// whatever is active; the weights are read once for all rows. Exact in 32 bits, as the model's load checks.
// Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

// Columns of a block: `low` holds 0-7, 16-23, 32-39, 48-55, `high` the others.
template <bool kOfCounts>
struct Sums {
    static constexpr bool kCounts = kOfCounts;
    static constexpr uint32_t kLimit = 256;
    static constexpr size_t kBlocks = 8, kOutputs = 1;  // sixteen vectors of sums

    void add_pair(__m512i a, __m512i b, int values) noexcept {
        const __m512i both = _mm512_set1_epi16(static_cast<int16_t>(values));
        low = _mm512_add_epi16(low, _mm512_maddubs_epi16(both, _mm512_unpacklo_epi8(a, b)));
        high = _mm512_add_epi16(high, _mm512_maddubs_epi16(both, _mm512_unpackhi_epi8(a, b)));
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_sums<16>(m, s, column, low, high, y);
    }

    __m512i low;
    __m512i high;
};

constexpr size_t kDenseRows = 4;
constexpr size_t kDenseWeights = 64 << 10;  // bytes, at least

// Whether at least 7 of 16 inputs are active; adds their values to `sum` where they are.
inline bool dense(const uint8_t* x, size_t bytes, uint64_t& sum) noexcept {
    __m512i sums = _mm512_setzero_si512();
    size_t ones = 0;
    for (size_t k = 0; k < bytes; k += kBlock) {
        const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(bytes - k), x + k);
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(values, _mm512_setzero_si512()));
        ones += static_cast<unsigned>(__builtin_popcountll(_mm512_test_epi8_mask(values, values)));
    }
    if (16 * ones < 7 * bytes) return false;
    sum += static_cast<uint64_t>(_mm512_reduce_add_epi64(sums));
    return true;
}

// The weights of four inputs from `first` on side by side: 128-bit lane i of [j] holds columns 16 * i + 4 * j to + 3.
// The last input stands for those past it, where x is zero.
inline void four_inputs(const Rows<1>& rows, size_t first, size_t inputs, __m512i (&w)[4]) noexcept {
    __m512i row[4];
    for (size_t i = 0; i < 4; ++i) row[i] = rows.block(rows.row(first + i < inputs ? first + i : inputs - 1), 0);
    const __m512i low_a = _mm512_unpacklo_epi8(row[0], row[1]), low_b = _mm512_unpacklo_epi8(row[2], row[3]);
    const __m512i high_a = _mm512_unpackhi_epi8(row[0], row[1]), high_b = _mm512_unpackhi_epi8(row[2], row[3]);
    w[0] = _mm512_unpacklo_epi16(low_a, low_b);
    w[1] = _mm512_unpackhi_epi16(low_a, low_b);
    w[2] = _mm512_unpacklo_epi16(high_a, high_b);
    w[3] = _mm512_unpackhi_epi16(high_a, high_b);
}

// kDenseRows rows of x times `fours` vectors of weights.
inline void dense_rows(const Matrix& m, const Segment& s, const __m512i (*w)[4], size_t fours, const uint8_t* x,
                       size_t x_stride, size_t column, char* y) noexcept {
    __m512i acc[kDenseRows][4] = {};
    for (size_t i = 0; i < fours; ++i)
        for (size_t r = 0; r < kDenseRows; ++r) {
            int32_t four;
            std::memcpy(&four, x + r * x_stride + 4 * i, sizeof(four));
            for (size_t j = 0; j < 4; ++j) acc[r][j] = _mm512_dpbusd_epi32(acc[r][j], _mm512_set1_epi32(four), w[i][j]);
        }
    for (size_t r = 0; r < kDenseRows; ++r) emit_fours<16>(m, s, column, acc[r], y + r * 4 * m.stride);
}

// A block of columns: a piece of its weights lies in the first-level cache while all rows go through it.
void dense_block(const Matrix& m, const uint8_t* x, size_t x_stride, size_t count, size_t column, char* y) noexcept {
    constexpr size_t kInputs = 256;
    const Rows<1> rows(m, m.stride, column);
    __m512i w[kInputs / 4][4];
    for (size_t begin = 0; begin < m.inputs; begin += kInputs) {
        const size_t end = m.inputs - begin < kInputs ? m.inputs : begin + kInputs, fours = (end - begin + 3) / 4;
        const Segment s{begin, end, 0, begin == 0, end == m.inputs};
        for (size_t i = 0; i < fours; ++i) four_inputs(rows, begin + 4 * i, m.inputs, w[i]);
        for (size_t r = 0; r < count; r += kDenseRows)
            dense_rows(m, s, w, fours, x + r * x_stride + begin, x_stride, column, y + r * 4 * m.stride);
    }
}

template <bool kCounts>
uint64_t gather_or_dense(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    uint64_t sum = 0;
    const size_t most = rows / kDenseRows * kDenseRows;
    if (most == 0 || m.inputs * m.stride < kDenseWeights || !dense(x, most * x_stride, sum))
        return gather<Sums<kCounts>>(m, x, x_stride, rows, active, y);
    auto* out = static_cast<char*>(y);
    for (size_t column = 0; column < m.stride; column += kBlock) dense_block(m, x, x_stride, most, column, out);
    return sum +
           gather<Sums<kCounts>>(m, x + most * x_stride, x_stride, rows - most, active, out + most * 4 * m.stride);
}

}  // namespace

uint64_t spikes_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather_or_dense<false>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather_or_dense<true>(m, x, x_stride, rows, active, y);
}

size_t active_u8__avx512vnni(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
