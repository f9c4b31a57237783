// acc[n] = sum over active k of x[k] * W[k][n]; y[n] = float(acc[n]) * scale[n] + bias[n], or acc[n].
// Two rows at a time are interleaved byte by byte, multiplied by their two values and added to int16 tiles in
// registers: exact while |w| <= 127 and a segment's values sum to at most 256: 127 * 256 = 32,512 < 2^15.
// Integer sums are order-free, so the bits are the scalar arm's.
#if defined(__x86_64__)
#include "kernels/gather__avx2.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

// Columns of a block: `low` holds 0-7, 16-23, `high` the others.
template <bool kOfCounts>
struct Sums {
    static constexpr bool kCounts = kOfCounts;
    static constexpr uint32_t kLimit = 256;
    static constexpr size_t kBlocks = 4, kOutputs = 1;

    void add_pair(__m256i a, __m256i b, int values) noexcept {
        const __m256i both = _mm256_set1_epi16(static_cast<int16_t>(values));
        low = _mm256_add_epi16(low, _mm256_maddubs_epi16(both, _mm256_unpacklo_epi8(a, b)));
        high = _mm256_add_epi16(high, _mm256_maddubs_epi16(both, _mm256_unpackhi_epi8(a, b)));
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_sums(m, s, column, _mm256_permute2x128_si256(low, high, 0x20), y);
        emit_sums(m, s, column + 16, _mm256_permute2x128_si256(low, high, 0x31), y);
    }

    __m256i low;
    __m256i high;
};

}  // namespace

uint64_t spikes_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<false>>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i8__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<Sums<true>>(m, x, x_stride, rows, active, y);
}

size_t active_u8__avx2(const uint8_t* x, size_t n, uint32_t* index) noexcept {
    return find_active(x, n, index).count;
}

}  // namespace edgesnn::kernels
#endif
