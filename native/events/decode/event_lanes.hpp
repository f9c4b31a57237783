// Four events at once, a number of 32 bits in each of four lanes: the common case of words of fixed size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "events/decode/event_block.hpp"

namespace edgesnn::events::lanes {

constexpr size_t kCount = 4;

#if defined(__SSE2__)
using Lanes = __m128i;
inline Lanes load(const uint8_t* at) noexcept {  // little-endian words, any alignment
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
inline Lanes all(uint32_t value) noexcept {
    return _mm_set1_epi32(static_cast<int32_t>(value));
}
inline Lanes both(Lanes a, Lanes b) noexcept {
    return _mm_and_si128(a, b);
}
inline Lanes either(Lanes a, Lanes b) noexcept {
    return _mm_or_si128(a, b);
}
template <int kBits>
inline Lanes right(Lanes a) noexcept {
    return _mm_srli_epi32(a, kBits);
}
template <int kBits>
inline Lanes left(Lanes a) noexcept {
    return _mm_slli_epi32(a, kBits);
}
inline Lanes above(Lanes a, Lanes b) noexcept {  // all bits of the lanes where a > b; both below 2^31
    return _mm_cmpgt_epi32(a, b);
}
inline uint32_t bits_of(Lanes mask) noexcept {  // bit i: lane i
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(mask)));
}

inline Lanes same(Lanes a, Lanes b) noexcept {  // all bits of the lanes where a == b
    return _mm_cmpeq_epi32(a, b);
}
inline Lanes sum(Lanes a, Lanes b) noexcept {
    return _mm_add_epi32(a, b);
}
inline Lanes larger(Lanes a, Lanes b) noexcept {  // both below 2^31
    const Lanes first = above(a, b);
    return _mm_or_si128(_mm_and_si128(first, a), _mm_andnot_si128(first, b));
}
inline Lanes lone_bit(Lanes a) noexcept {  // of lanes with one bit: which; it is the exponent as a float
    const Lanes exponent = _mm_srli_epi32(_mm_castps_si128(_mm_cvtepi32_ps(a)), 23);
    return _mm_sub_epi32(both(exponent, all(0xFF)), all(127));
}
// Of the pairs at `at`, eight bytes each: the first halves, the second halves.
inline void load_pairs(const uint8_t* at, Lanes& first, Lanes& second) noexcept {
    const __m128 a = _mm_castsi128_ps(load(at)), b = _mm_castsi128_ps(load(at + 16));
    first = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88));
    second = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xDD));
}

// Writes four events and three bytes more. low: set in the lowest bits of base_us; yx: y << 16 | x.
inline void put(EventBlock::Cursor at, int64_t base_us, Lanes low, Lanes yx, Lanes p) noexcept {
    const __m128i base = _mm_set_epi64x(0, base_us);
    const __m128i zero = _mm_setzero_si128();
    const __m128i t_first = _mm_unpacklo_epi32(low, zero), t_last = _mm_unpackhi_epi32(low, zero);
    const __m128i place_first = _mm_unpacklo_epi32(yx, p), place_last = _mm_unpackhi_epi32(yx, p);
    const auto store = [&](size_t i, __m128i event) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(at + i * sizeof(Event)), _mm_or_si128(base, event));
    };
    store(0, _mm_unpacklo_epi64(t_first, place_first));
    store(1, _mm_unpackhi_epi64(t_first, place_first));
    store(2, _mm_unpacklo_epi64(t_last, place_last));
    store(3, _mm_unpackhi_epi64(t_last, place_last));
}
#elif defined(__aarch64__)
using Lanes = uint32x4_t;
inline Lanes load(const uint8_t* at) noexcept {
    return vreinterpretq_u32_u8(vld1q_u8(at));
}
inline Lanes all(uint32_t value) noexcept {
    return vdupq_n_u32(value);
}
inline Lanes both(Lanes a, Lanes b) noexcept {
    return vandq_u32(a, b);
}
inline Lanes either(Lanes a, Lanes b) noexcept {
    return vorrq_u32(a, b);
}
template <int kBits>
inline Lanes right(Lanes a) noexcept {
    return vshrq_n_u32(a, kBits);
}
template <int kBits>
inline Lanes left(Lanes a) noexcept {
    return vshlq_n_u32(a, kBits);
}
inline Lanes above(Lanes a, Lanes b) noexcept {
    return vcgtq_u32(a, b);
}
inline uint32_t bits_of(Lanes mask) noexcept {
    constexpr uint32_t kBits[kCount] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, vld1q_u32(kBits)));
}
inline Lanes same(Lanes a, Lanes b) noexcept {
    return vceqq_u32(a, b);
}
inline Lanes sum(Lanes a, Lanes b) noexcept {
    return vaddq_u32(a, b);
}
inline Lanes larger(Lanes a, Lanes b) noexcept {
    return vmaxq_u32(a, b);
}
inline Lanes lone_bit(Lanes a) noexcept {
    return vsubq_u32(vdupq_n_u32(31), vclzq_u32(a));
}
inline void load_pairs(const uint8_t* at, Lanes& first, Lanes& second) noexcept {
    const Lanes a = load(at), b = load(at + 16);
    first = vuzp1q_u32(a, b);
    second = vuzp2q_u32(a, b);
}
inline void put(EventBlock::Cursor at, int64_t base_us, Lanes low, Lanes yx, Lanes p) noexcept {
    const uint64x2_t base = vsetq_lane_u64(static_cast<uint64_t>(base_us), vdupq_n_u64(0), 0);
    const uint64x2_t t_first = vreinterpretq_u64_u32(vzip1q_u32(low, vdupq_n_u32(0)));
    const uint64x2_t t_last = vreinterpretq_u64_u32(vzip2q_u32(low, vdupq_n_u32(0)));
    const uint64x2_t place_first = vreinterpretq_u64_u32(vzip1q_u32(yx, p));
    const uint64x2_t place_last = vreinterpretq_u64_u32(vzip2q_u32(yx, p));
    const auto store = [&](size_t i, uint64x2_t event) {
        vst1q_u8(at + i * sizeof(Event), vreinterpretq_u8_u64(vorrq_u64(base, event)));
    };
    store(0, vzip1q_u64(t_first, place_first));
    store(1, vzip2q_u64(t_first, place_first));
    store(2, vzip1q_u64(t_last, place_last));
    store(3, vzip2q_u64(t_last, place_last));
}
#else
struct Lanes {
    uint32_t at[kCount];
};
template <typename Of>
inline Lanes each(Of&& of) noexcept {
    return {{of(0), of(1), of(2), of(3)}};
}
inline Lanes load(const uint8_t* at) noexcept {
    Lanes lanes;
    std::memcpy(lanes.at, at, sizeof lanes.at);
    return lanes;
}
inline Lanes all(uint32_t value) noexcept {
    return {{value, value, value, value}};
}
inline Lanes both(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] & b.at[i]; });
}
inline Lanes either(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] | b.at[i]; });
}
template <int kBits>
inline Lanes right(const Lanes& a) noexcept {
    return each([&](int i) { return a.at[i] >> kBits; });
}
template <int kBits>
inline Lanes left(const Lanes& a) noexcept {
    return each([&](int i) { return a.at[i] << kBits; });
}
inline Lanes above(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] > b.at[i] ? ~uint32_t{0} : 0; });
}
inline uint32_t bits_of(const Lanes& mask) noexcept {
    return (mask.at[0] & 1) | (mask.at[1] & 2) | (mask.at[2] & 4) | (mask.at[3] & 8);
}
inline Lanes same(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] == b.at[i] ? ~uint32_t{0} : 0; });
}
inline Lanes sum(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] + b.at[i]; });
}
inline Lanes larger(const Lanes& a, const Lanes& b) noexcept {
    return each([&](int i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
}
inline Lanes lone_bit(const Lanes& a) noexcept {
    return each([&](int i) { return a.at[i] == 0 ? 0 : static_cast<uint32_t>(__builtin_ctz(a.at[i])); });
}
inline void load_pairs(const uint8_t* at, Lanes& first, Lanes& second) noexcept {
    const Lanes a = load(at), b = load(at + 16);
    first = {{a.at[0], a.at[2], b.at[0], b.at[2]}};
    second = {{a.at[1], a.at[3], b.at[1], b.at[3]}};
}
inline void put(EventBlock::Cursor at, int64_t base_us, const Lanes& low, const Lanes& yx, const Lanes& p) noexcept {
    for (size_t i = 0; i < kCount; ++i)
        at = EventBlock::put(at, base_us | low.at[i], yx.at[i] & 0xFFFF, yx.at[i] >> 16, p.at[i]);
}
#endif

inline uint32_t largest(const Lanes& a) noexcept {
    uint32_t values[kCount];
    std::memcpy(values, &a, sizeof values);
    return std::max(std::max(values[0], values[1]), std::max(values[2], values[3]));
}

}  // namespace edgesnn::events::lanes
