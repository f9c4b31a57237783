// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Two rows at a time are interleaved byte by byte, multiplied by their two values and added to int16 tiles in
// registers: exact while |w| <= 127 and a segment's values sum to at most 256: 127 * 256 = 32,512 < 2^15.
// Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
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
        const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                      back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        const __m512i a = _mm512_permutex2var_epi64(low, front, high);
        const __m512i b = _mm512_permutex2var_epi64(low, back, high);
        emit_sums(m, s, column, _mm512_castsi512_si256(a), y);
        emit_sums(m, s, column + 16, _mm512_extracti64x4_epi64(a, 1), y);
        emit_sums(m, s, column + 32, _mm512_castsi512_si256(b), y);
        emit_sums(m, s, column + 48, _mm512_extracti64x4_epi64(b, 1), y);
    }

    __m512i low;
    __m512i high;
};

}  // namespace

uint64_t spikes_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<Sums<false>>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<Sums<true>>(m, x, x_stride, rows, active, y);
}

size_t active_u8__avx512vnni(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
