// Zeros and ones as bits of words; equations in kernels.hpp.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

inline __m128i sixteen(const uint8_t* x) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
}

// Bits 0 to 15 of a word as bytes of 0 or 1.
inline __m128i bytes_of(uint64_t bits) noexcept {
    const __m128i halves = _mm_shuffle_epi8(_mm_cvtsi32_si128(static_cast<int>(bits & 0xFFFF)),
                                            _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    const __m128i places = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201U));
    return _mm_min_epu8(_mm_and_si128(halves, places), _mm_set1_epi8(1));
}

// Sixteen pairs; all ones where a >= b.
inline __m256i not_less(const uint16_t* a, const uint16_t* b) noexcept {
    const __m256i left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a)),
                  right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    return _mm256_cmpeq_epi16(_mm256_subs_epu16(right, left), _mm256_setzero_si256());
}

inline uint64_t less32(const uint16_t* a, const uint16_t* b) noexcept {
    const __m256i packed = _mm256_packs_epi16(not_less(a, b), not_less(a + 16, b + 16));
    const __m256i ordered = _mm256_permute4x64_epi64(packed, 0xD8);
    return static_cast<uint32_t>(~_mm256_movemask_epi8(ordered));
}

}  // namespace

void pack_bits__avx2(const uint8_t* x, size_t rows, size_t stride, uint64_t* bits) noexcept {
    for (size_t row = 0; row < rows; ++row, x += stride) {
        uint64_t word = 0;
        for (size_t n = 0; n < stride; n += 16)  // bit 0 of each byte to its bit 7
            word |= uint64_t{static_cast<uint32_t>(_mm_movemask_epi8(_mm_slli_epi16(sixteen(x + n), 7)))} << n;
        bits[row] = word;
    }
}

void unpack_bits__avx2(const uint64_t* bits, size_t rows, size_t stride, uint8_t* y) noexcept {
    for (size_t row = 0; row < rows; ++row, y += stride)
        for (size_t n = 0; n < stride; n += 16)
            _mm_storeu_si128(reinterpret_cast<__m128i*>(y + n), bytes_of(bits[row] >> n));
}

void max_bits__avx2(const uint64_t* a, const uint64_t* b, size_t rows, size_t stride, uint8_t* y) noexcept {
    uint64_t one = 0, two = 0;
    for (size_t row = 0; row < rows; ++row) {
        one |= a[row] | b[row];
        two |= a[row] & b[row];
    }
    for (size_t n = 0; n < stride; n += 16)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(y + n), _mm_add_epi8(bytes_of(one >> n), bytes_of(two >> n)));
}

void less_bits__avx2(const uint16_t* a, const uint16_t* b, size_t n, uint64_t* bits) noexcept {
    for (size_t i = 0; i < n; i += 64) bits[i / 64] = less32(a + i, b + i) | less32(a + i + 32, b + i + 32) << 32;
}

}  // namespace edgesnn::kernels
#endif
