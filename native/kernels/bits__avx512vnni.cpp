// Zeros and ones as bits of words; equations in kernels.hpp.
#if defined(__x86_64__)
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

inline __mmask64 columns(size_t stride) noexcept {
    return stride >= 64 ? ~__mmask64{0} : (__mmask64{1} << stride) - 1;
}

inline uint64_t less32(const uint16_t* a, const uint16_t* b) noexcept {
    return _mm512_cmplt_epu16_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
}

}  // namespace

void pack_bits__avx512vnni(const uint8_t* x, size_t rows, size_t stride, uint64_t* bits) noexcept {
    const __mmask64 inside = columns(stride);
    for (size_t row = 0; row < rows; ++row, x += stride) {
        const __m512i bytes = _mm512_maskz_loadu_epi8(inside, x);
        bits[row] = _mm512_test_epi8_mask(bytes, bytes);
    }
}

void unpack_bits__avx512vnni(const uint64_t* bits, size_t rows, size_t stride, uint8_t* y) noexcept {
    const __mmask64 inside = columns(stride);
    for (size_t row = 0; row < rows; ++row, y += stride)
        _mm512_mask_storeu_epi8(y, inside, _mm512_maskz_set1_epi8(bits[row], 1));
}

void max_bits__avx512vnni(const uint64_t* a, const uint64_t* b, size_t rows, size_t stride, uint8_t* y) noexcept {
    uint64_t one = 0, two = 0;
    for (size_t row = 0; row < rows; ++row) {
        one |= a[row] | b[row];
        two |= a[row] & b[row];
    }
    const __m512i sum = _mm512_add_epi8(_mm512_maskz_set1_epi8(one, 1), _mm512_maskz_set1_epi8(two, 1));
    _mm512_mask_storeu_epi8(y, columns(stride), sum);
}

void less_bits__avx512vnni(const uint16_t* a, const uint16_t* b, size_t n, uint64_t* bits) noexcept {
    for (size_t i = 0; i < n; i += 64) bits[i / 64] = less32(a + i, b + i) | less32(a + i + 32, b + i + 32) << 32;
}

}  // namespace edgesnn::kernels
#endif
