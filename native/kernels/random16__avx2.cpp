// Eight 16-bit numbers a call of Philox4x32-10, eight calls at a time: docs/arithmetic.md, section 9.
// A 32-bit word lies in the low half of a 64-bit lane; what is in the high half is never looked at.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

struct Four {  // four calls
    __m256i c[4];
};

inline void round(Four& f, __m256i k0, __m256i k1) noexcept {
    const __m256i a = _mm256_mul_epu32(f.c[0], _mm256_set1_epi64x(0xD2511F53));
    const __m256i b = _mm256_mul_epu32(f.c[2], _mm256_set1_epi64x(0xCD9E8D57));
    f.c[0] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(b, 32), f.c[1]), k0);
    f.c[2] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(a, 32), f.c[3]), k1);
    f.c[1] = b;
    f.c[3] = a;
}

// Words of calls 0 and 1 as eight 16-bit numbers each, then of calls 2 and 3.
inline void store(const Four& f, uint16_t* out) noexcept {
    const __m256i w01 = _mm256_blend_epi32(f.c[0], _mm256_slli_epi64(f.c[1], 32), 0xAA);
    const __m256i w23 = _mm256_blend_epi32(f.c[2], _mm256_slli_epi64(f.c[3], 32), 0xAA);
    const __m256i even = _mm256_unpacklo_epi64(w01, w23), odd = _mm256_unpackhi_epi64(w01, w23);  // calls 0 2, 1 3
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), _mm256_permute2x128_si256(even, odd, 0x31));
}

inline Four start(size_t call, uint32_t step, uint64_t window) noexcept {
    const auto c = static_cast<long long>(call);
    return {{_mm256_set_epi64x(c + 3, c + 2, c + 1, c), _mm256_set1_epi64x(step),
             _mm256_set1_epi64x(static_cast<long long>(window & 0xFFFFFFFF)),
             _mm256_set1_epi64x(static_cast<long long>(window >> 32))}};
}

}  // namespace

void random16__avx2(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window, uint16_t* out) noexcept {
    for (size_t call = begin; call < end; call += 8, out += 64) {
        Four low = start(call, step, window), high = start(call + 4, step, window);
        auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
        for (int i = 0; i < 10; ++i, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
            const __m256i key0 = _mm256_set1_epi64x(k0), key1 = _mm256_set1_epi64x(k1);
            round(low, key0, key1);
            round(high, key0, key1);
        }
        store(low, out);
        store(high, out + 32);
    }
}

}  // namespace edgesnn::kernels
#endif
