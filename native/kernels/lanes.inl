// Vectors of the arm's own width, for work that goes element by element; included inside the anonymous namespace of an
// arm's file. Every operation is one rounding; the bits do not depend on the width. (lanes16.inl: sixteen lanes on
// every arm, for sums whose order is a rule.)

#if defined(__AVX512F__)
constexpr size_t kWidth = 16;
#elif defined(__AVX2__)
constexpr size_t kWidth = 8;
#else
constexpr size_t kWidth = 4;
#endif
constexpr size_t kSixteen = 16 / kWidth;  // vectors of sixteen elements

typedef float Reals __attribute__((vector_size(4 * kWidth)));
typedef int32_t Ints __attribute__((vector_size(4 * kWidth)));

template <typename V, typename T>
EDGESNN_INLINE V fetch(const T* from) noexcept {
    V v;
    std::memcpy(&v, from, sizeof(v));
    return v;
}

template <typename V, typename T>
EDGESNN_INLINE void put(T* to, const V& v) noexcept {
    std::memcpy(to, &v, sizeof(v));
}

EDGESNN_INLINE Reals reals(const Ints& whole) noexcept {
    return __builtin_convertvector(whole, Reals);
}
EDGESNN_INLINE Ints whole(const Reals& v) noexcept {  // toward zero
    return __builtin_convertvector(v, Ints);
}

// Lanes that a comparison chose. put_ones: 1 to the bytes of the lanes chosen, 0 to the others; put_bytes: values of 0
// to 255.
#if defined(__AVX512F__)
using Chosen = __mmask16;
EDGESNN_INLINE Chosen at_least(const Reals& a, const Reals& b) noexcept {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
EDGESNN_INLINE Chosen above(const Reals& a, const Reals& b) noexcept {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
EDGESNN_INLINE Chosen differ(const Reals& a, const Reals& b) noexcept {
    return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
}
EDGESNN_INLINE Chosen above(const Ints& a, int32_t b) noexcept {
    return _mm512_cmpgt_epi32_mask((__m512i)a, _mm512_set1_epi32(b));
}
EDGESNN_INLINE Reals choose(Chosen where, const Reals& yes, const Reals& no) noexcept {
    return _mm512_mask_mov_ps(no, where, yes);
}
EDGESNN_INLINE Ints choose(Chosen where, const Ints& yes, const Ints& no) noexcept {
    return (Ints)_mm512_mask_mov_epi32((__m512i)no, where, (__m512i)yes);
}
EDGESNN_INLINE Chosen without(Chosen some, Chosen others) noexcept {
    return static_cast<Chosen>(some & ~others);
}
EDGESNN_INLINE uint64_t put_ones(uint8_t* to, const Chosen (&where)[kSixteen]) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(where[0], 1));
    return static_cast<unsigned>(__builtin_popcount(where[0]));
}
EDGESNN_INLINE void put_bytes(uint8_t* to, const Ints (&values)[kSixteen]) noexcept {
    constexpr __mmask16 kAll = 0xFFFF;  // the form without a mask makes gcc 12 warn of an unset vector
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(kAll, (__m512i)values[0]));
}
#else
using Chosen = Ints;
EDGESNN_INLINE Chosen at_least(const Reals& a, const Reals& b) noexcept {
    return a >= b;
}
EDGESNN_INLINE Chosen above(const Reals& a, const Reals& b) noexcept {
    return a > b;
}
EDGESNN_INLINE Chosen differ(const Reals& a, const Reals& b) noexcept {
    return a != b;
}
EDGESNN_INLINE Chosen above(const Ints& a, int32_t b) noexcept {
    return a > b;
}
EDGESNN_INLINE Reals choose(const Chosen& where, const Reals& yes, const Reals& no) noexcept {
    return where ? yes : no;
}
EDGESNN_INLINE Ints choose(const Chosen& where, const Ints& yes, const Ints& no) noexcept {
    return where ? yes : no;
}
EDGESNN_INLINE Chosen without(const Chosen& some, const Chosen& others) noexcept {
    return some & ~others;
}
#if defined(__AVX2__)
EDGESNN_INLINE __m128i bytes_of(const Ints (&values)[kSixteen]) noexcept {
    const __m256i words = _mm256_packs_epi32((__m256i)values[0], (__m256i)values[1]);
    const __m256i sorted = _mm256_permute4x64_epi64(words, 0xD8);
    return _mm_packus_epi16(_mm256_castsi256_si128(sorted), _mm256_extracti128_si256(sorted, 1));
}
EDGESNN_INLINE uint64_t put_ones(uint8_t* to, const Chosen (&where)[kSixteen]) noexcept {
    const Ints ones[kSixteen] = {-where[0], -where[1]};
    const __m128i bytes = bytes_of(ones);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    const auto bits = static_cast<unsigned>(_mm_movemask_epi8(_mm_slli_epi16(bytes, 7)));
    return static_cast<unsigned>(__builtin_popcount(bits));
}
EDGESNN_INLINE void put_bytes(uint8_t* to, const Ints (&values)[kSixteen]) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes_of(values));
}
#elif defined(__ARM_FEATURE_DOTPROD)  // the neon arm, not the scalar one of the same machine
EDGESNN_INLINE uint8x16_t bytes_of(const Ints (&values)[kSixteen]) noexcept {
    const auto words = [&](size_t i) { return vmovn_u32((uint32x4_t)values[i]); };
    return vcombine_u8(vmovn_u16(vcombine_u16(words(0), words(1))), vmovn_u16(vcombine_u16(words(2), words(3))));
}
EDGESNN_INLINE uint64_t put_ones(uint8_t* to, const Chosen (&where)[kSixteen]) noexcept {
    const uint8x16_t ones = vandq_u8(bytes_of(where), vdupq_n_u8(1));
    vst1q_u8(to, ones);
    return vaddvq_u8(ones);
}
EDGESNN_INLINE void put_bytes(uint8_t* to, const Ints (&values)[kSixteen]) noexcept {
    vst1q_u8(to, bytes_of(values));
}
#else
EDGESNN_INLINE void put_bytes(uint8_t* to, const Ints (&values)[kSixteen]) noexcept {
    for (size_t i = 0; i < kSixteen; ++i)
        for (size_t j = 0; j < kWidth; ++j) to[i * kWidth + j] = static_cast<uint8_t>(values[i][j]);
}
EDGESNN_INLINE uint64_t put_ones(uint8_t* to, const Chosen (&where)[kSixteen]) noexcept {
    Ints ones[kSixteen], sum = {};
    for (size_t i = 0; i < kSixteen; ++i) sum += ones[i] = -where[i];
    put_bytes(to, ones);
    uint64_t count = 0;
    for (size_t j = 0; j < kWidth; ++j) count += static_cast<uint32_t>(sum[j]);
    return count;
}
#endif
#endif
