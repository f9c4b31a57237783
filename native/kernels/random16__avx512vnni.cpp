// Eight 16-bit numbers a call of Philox4x32-10, eight calls at a time: docs/arithmetic.md, section 9.
// A 32-bit word lies in the low half of a 64-bit lane; what is in the high half is never looked at.
#if defined(__x86_64__)
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

struct Eight {  // eight calls
    __m512i c[4];
};

inline void round(Eight& e, __m512i k0, __m512i k1) noexcept {
    constexpr int kXor = 0x96;  // of three
    const __m512i a = _mm512_mul_epu32(e.c[0], _mm512_set1_epi64(0xD2511F53));
    const __m512i b = _mm512_mul_epu32(e.c[2], _mm512_set1_epi64(0xCD9E8D57));
    e.c[0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(b, 32), e.c[1], k0, kXor);
    e.c[2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(a, 32), e.c[3], k1, kXor);
    e.c[1] = b;
    e.c[3] = a;
}

inline Eight start(size_t call, uint32_t step, uint64_t window) noexcept {
    const __m512i calls =
        _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(call)), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    return {{calls, _mm512_set1_epi64(step), _mm512_set1_epi64(static_cast<long long>(window & 0xFFFFFFFF)),
             _mm512_set1_epi64(static_cast<long long>(window >> 32))}};
}

inline void store(const Eight& e, uint16_t* out) noexcept {
    const __m512i w01 = _mm512_mask_blend_epi32(0xAAAA, e.c[0], _mm512_slli_epi64(e.c[1], 32));
    const __m512i w23 = _mm512_mask_blend_epi32(0xAAAA, e.c[2], _mm512_slli_epi64(e.c[3], 32));
    const __m512i front = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11),
                  back = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(w01, front, w23));
    _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi64(w01, back, w23));
}

// 8 * N calls.
template <size_t N>
inline void calls(uint64_t key, size_t call, uint32_t step, uint64_t window, uint16_t* out) noexcept {
    Eight e[N];
    for (size_t i = 0; i < N; ++i) e[i] = start(call + 8 * i, step, window);
    auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int turn = 0; turn < 10; ++turn, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U)
        for (size_t i = 0; i < N; ++i) round(e[i], _mm512_set1_epi64(k0), _mm512_set1_epi64(k1));
    for (size_t i = 0; i < N; ++i) store(e[i], out + 64 * i);
}

}  // namespace

void random16__avx512vnni(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window,
                          uint16_t* out) noexcept {
    size_t call = begin;
    for (; call + 32 <= end; call += 32, out += 256) calls<4>(key, call, step, window, out);
    for (; call < end; call += 8, out += 64) calls<1>(key, call, step, window, out);
}

}  // namespace edgesnn::kernels
#endif
