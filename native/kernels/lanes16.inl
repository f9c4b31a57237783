// Sixteen elements at a time in the compiler's vector types; included inside the anonymous namespace of an arm's file.
// Every operation is one rounding, elementwise; the bits do not depend on the instruction set.

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Masks __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));

constexpr size_t kBlock = 16;

template <typename V>
inline void load(V& to, const void* from) noexcept {
    std::memcpy(&to, from, sizeof(V));
}

template <typename V>
inline void store(void* to, const V& from) noexcept {
    std::memcpy(to, &from, sizeof(V));
}

inline bool is_zero(const Masks& v) noexcept {
#if defined(__AVX512F__)
    __m512i wide;
    std::memcpy(&wide, &v, sizeof(wide));
    return _mm512_test_epi32_mask(wide, wide) == 0;
#else
    uint64_t words[8];
    std::memcpy(words, &v, sizeof(words));
    return (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) == 0;
#endif
}

inline void splat(Floats& to, float value) noexcept {
    to = Floats{} + value;
}

// Lanes j and j + 8, + 4, + 2, + 1 are added.
inline float fold(const Floats& lanes) noexcept {
    float v[kBlock];
    std::memcpy(v, &lanes, sizeof(v));
    for (size_t half = kBlock / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; ++j) v[j] = v[j] + v[j + half];
    return v[0];
}

// Bytes to 32-bit lanes and back (values 0 to 255): compilers take these apart element by element, so by hand.
#if defined(__AVX512F__)
constexpr __mmask16 kAll = 0xFFFF;  // the forms without a mask make gcc 12 warn of an unset vector

inline void widen(Masks& to, const int8_t* from) noexcept {
    const __m512i wide = _mm512_maskz_cvtepi8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    load(to, &wide);
}
inline void widen(Masks& to, const uint8_t* from) noexcept {
    const __m512i wide = _mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    load(to, &wide);
}
inline void narrow(uint8_t* to, const Masks& from) noexcept {
    __m512i wide;
    std::memcpy(&wide, &from, sizeof(wide));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(kAll, wide));
}
#elif defined(__AVX2__)
inline void widen(Masks& to, const int8_t* from) noexcept {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m256i wide[2] = {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
    load(to, wide);
}
inline void widen(Masks& to, const uint8_t* from) noexcept {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m256i wide[2] = {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
    load(to, wide);
}
inline void narrow(uint8_t* to, const Masks& from) noexcept {
    __m256i wide[2];
    std::memcpy(wide, &from, sizeof(wide));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide[0], wide[1]), 0xD8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}
#elif defined(__ARM_FEATURE_DOTPROD)  // the neon arm, not the scalar one of the same machine
inline void widen(Masks& to, const int8_t* from) noexcept {
    const int8x16_t bytes = vld1q_s8(from);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    const int32x4_t wide[4] = {vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                               vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))};
    load(to, wide);
}
inline void widen(Masks& to, const uint8_t* from) noexcept {
    const uint8x16_t bytes = vld1q_u8(from);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    const uint32x4_t wide[4] = {vmovl_u16(vget_low_u16(low)), vmovl_u16(vget_high_u16(low)),
                                vmovl_u16(vget_low_u16(high)), vmovl_u16(vget_high_u16(high))};
    load(to, wide);
}
inline void narrow(uint8_t* to, const Masks& from) noexcept {
    uint32x4_t wide[4];
    std::memcpy(wide, &from, sizeof(wide));
    const uint16x8_t low = vcombine_u16(vmovn_u32(wide[0]), vmovn_u32(wide[1]));
    const uint16x8_t high = vcombine_u16(vmovn_u32(wide[2]), vmovn_u32(wide[3]));
    vst1q_u8(to, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}
#else
template <typename Byte>
inline void widen(Masks& to, const Byte* from) noexcept {
    int32_t wide[kBlock];
    for (size_t j = 0; j < kBlock; ++j) wide[j] = from[j];
    load(to, wide);
}
inline void narrow(uint8_t* to, const Masks& from) noexcept {
    int32_t wide[kBlock];
    std::memcpy(wide, &from, sizeof(wide));
    for (size_t j = 0; j < kBlock; ++j) to[j] = static_cast<uint8_t>(wide[j]);
}
#endif
