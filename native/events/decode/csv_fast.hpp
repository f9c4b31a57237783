// The common line of a text recording, four columns of digits between one separator, read without a loop over its
// bytes: the places of its separators are found in 32 bytes at once, numbers eight digits at once.
//
// A line is taken whole or not at all (then nothing is changed): what is not taken is read by read_csv_line, with the
// same result wherever both can read it. Needs 32 readable bytes from the line's beginning and 16 before it.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace edgesnn::events::csv {

constexpr size_t kWindow = 32;
constexpr size_t kBefore = 16;

// Bit i: what byte i of 32 is.
struct Marks {
    uint32_t other = 0;  // no digit, no point of a decimal time, no minus of a signed polarity
    uint32_t minus = 0;
    uint32_t point = 0;
};

#if defined(__SSE2__)
using Bytes = __m128i;
inline Bytes load16(const uint8_t* at) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
inline Bytes digits_of(Bytes bytes) noexcept {
    const __m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    return _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(9)), above);
}
inline Bytes equal_to(Bytes bytes, char wanted) noexcept {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted));
}
inline Bytes either(Bytes a, Bytes b) noexcept {
    return _mm_or_si128(a, b);
}
inline uint32_t bits_of(Bytes mask) noexcept {
    return static_cast<uint32_t>(_mm_movemask_epi8(mask));
}
#elif defined(__aarch64__)
using Bytes = uint8x16_t;
inline Bytes load16(const uint8_t* at) noexcept {
    return vld1q_u8(at);
}
inline Bytes digits_of(Bytes bytes) noexcept {
    return vcleq_u8(vsubq_u8(bytes, vdupq_n_u8('0')), vdupq_n_u8(9));
}
inline Bytes equal_to(Bytes bytes, char wanted) noexcept {
    return vceqq_u8(bytes, vdupq_n_u8(static_cast<uint8_t>(wanted)));
}
inline Bytes either(Bytes a, Bytes b) noexcept {
    return vorrq_u8(a, b);
}
inline uint32_t bits_of(Bytes mask) noexcept {
    constexpr uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bits = vandq_u8(mask, vld1q_u8(kBits));
    return vaddv_u8(vget_low_u8(bits)) | static_cast<uint32_t>(vaddv_u8(vget_high_u8(bits))) << 8;
}
#else
struct Bytes {
    uint8_t at[16];
};
template <typename Is>
inline Bytes mask_where(Is&& is) noexcept {
    Bytes mask;
    for (int i = 0; i < 16; ++i) mask.at[i] = is(i) ? 0xFF : 0;
    return mask;
}
inline Bytes load16(const uint8_t* at) noexcept {
    Bytes bytes;
    std::memcpy(bytes.at, at, 16);
    return bytes;
}
inline Bytes digits_of(const Bytes& bytes) noexcept {
    return mask_where([&](int i) { return static_cast<uint8_t>(bytes.at[i] - '0') <= 9; });
}
inline Bytes equal_to(const Bytes& bytes, char wanted) noexcept {
    return mask_where([&](int i) { return bytes.at[i] == static_cast<uint8_t>(wanted); });
}
inline Bytes either(const Bytes& a, const Bytes& b) noexcept {
    return mask_where([&](int i) { return (a.at[i] | b.at[i]) != 0; });
}
inline uint32_t bits_of(const Bytes& mask) noexcept {
    uint32_t bits = 0;
    for (int i = 0; i < 16; ++i) bits |= static_cast<uint32_t>(mask.at[i] & 1) << i;
    return bits;
}
#endif

template <bool kPoint, bool kMinus>
inline Marks mark_bytes(const uint8_t* at) noexcept {
    Marks marks;
    uint32_t number = 0;
    for (int shift = 0; shift < 32; shift += 16) {
        const Bytes bytes = load16(at + shift);
        Bytes some = digits_of(bytes);
        if constexpr (kPoint) {
            const Bytes point = equal_to(bytes, '.');
            marks.point |= bits_of(point) << shift;
            some = either(some, point);
        }
        if constexpr (kMinus) {
            const Bytes minus = equal_to(bytes, '-');
            marks.minus |= bits_of(minus) << shift;
            some = either(some, minus);
        }
        number |= bits_of(some) << shift;
    }
    marks.other = ~number;
    return marks;
}

inline uint64_t load8(const uint8_t* at) noexcept {
    uint64_t word;
    std::memcpy(&word, at, 8);
    return word;
}

// The number of the eight digits of a word, the first in its lowest byte: pairs, then fours, then all.
inline uint64_t join8(uint64_t digits) noexcept {
    digits = (digits * 10 + (digits >> 8)) & 0x00FF00FF00FF00FFu;
    digits = (digits * 100 + (digits >> 16)) & 0x0000FFFF0000FFFFu;
    return (digits * 10000 + (digits >> 32)) & 0xFFFFFFFFu;
}

// The 1 to 16 digits before `end`.
inline uint64_t read_digits(const uint8_t* end, unsigned count) noexcept {
    constexpr uint64_t kZeros = 0x3030303030303030u;
    const uint64_t low = load8(end - 8) ^ kZeros;
    if (count <= 8) return join8(low & ~uint64_t{0} << (64 - 8 * count));
    const uint64_t high = (load8(end - 16) ^ kZeros) & ~uint64_t{0} << (128 - 8 * count);
    return join8(high) * 100000000u + join8(low);
}

// x in the low and y in the high half: the 1 to 4 digits before each end.
inline uint64_t read_pair(const uint8_t* x_end, unsigned x_count, const uint8_t* y_end, unsigned y_count) noexcept {
    const uint64_t x = (load8(x_end - 4) ^ 0x30303030u) & 0xFFFFFFFFu & ~uint64_t{0} << (32 - 8 * x_count);
    const uint64_t y = (load8(y_end - 8) >> 32 ^ 0x30303030u) & ~uint64_t{0} << (32 - 8 * y_count);
    uint64_t digits = x | y << 32;
    digits = (digits * 10 + (digits >> 8)) & 0x00FF00FF00FF00FFu;
    return (digits * 100 + (digits >> 16)) & 0x0000FFFF0000FFFFu;
}

inline unsigned lowest(uint32_t bits) noexcept {
    return static_cast<unsigned>(__builtin_ctz(bits));
}

struct Line {
    int64_t t;
    uint32_t x, y, p;
};

// digits / 10^places in units of 10^-6, the nearest, half to even; places <= 9.
inline uint64_t to_micros(uint64_t digits, unsigned places) noexcept {
    constexpr uint32_t kUp[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    constexpr uint32_t kDown[] = {1, 10, 100, 1000};
    if (places <= 6) return digits * kUp[places];
    const uint64_t unit = kDown[places - 6];
    const uint64_t whole = digits / unit;
    const uint64_t twice = digits % unit * 2;
    return whole + (twice > unit || (twice == unit && (whole & 1) != 0));
}

// Time of the digits [begin, end) of the line at `at`; with kDecimal seconds with one point at bit `point`.
template <bool kDecimal>
inline bool read_time(const uint8_t* at, unsigned begin, unsigned end, uint32_t points, int64_t& t) noexcept {
    if constexpr (!kDecimal) {
        const unsigned count = end - begin;
        if (count - 1 >= 16 || points != 0) return false;
        t = static_cast<int64_t>(read_digits(at + end, count));
        return true;
    }
    if (points == 0 || (points & (points - 1)) != 0) return false;
    const unsigned point = lowest(points);
    const unsigned whole = point - begin;
    const unsigned places = end - point - 1;
    if (point < begin || point >= end || whole - 1 >= 10 || places - 1 >= 9) return false;
    t = static_cast<int64_t>(read_digits(at + point, whole) * 1000000u +
                             to_micros(read_digits(at + end, places), places));
    return true;
}

// One line at `at`; the time stands first (t,x,y,p) or last (x,y,p,t). Returns its length with its end, 0: not taken.
template <bool kTimeLast, bool kDecimal, bool kMinus>
inline size_t read_line(const uint8_t* at, uint8_t separator, Line& line) noexcept {
    const Marks marks = mark_bytes<kDecimal, kMinus>(at);
    uint32_t rest = marks.other;
    unsigned stop[4];
    for (unsigned& one : stop) {
        if (rest == 0) return 0;
        one = lowest(rest);
        rest &= rest - 1;
    }
    size_t length = stop[3] + 1;
    if (at[stop[3]] != '\n') {
        if (at[stop[3]] != '\r' || stop[3] + 1 >= kWindow || at[stop[3] + 1] != '\n') return 0;
        ++length;
    }
    constexpr int kX = kTimeLast ? 0 : 1;
    constexpr int kP = kX + 2;
    const unsigned x_begin = kTimeLast ? 0 : stop[0] + 1;
    const unsigned x_count = stop[kX] - x_begin;
    const unsigned y_count = stop[kX + 1] - stop[kX] - 1;
    const unsigned p_begin = stop[kX + 1] + 1;
    const uint32_t inside = (uint32_t{2} << stop[3]) - 1;
    const uint32_t negative = kMinus ? marks.minus >> p_begin & 1 : 0;
    const bool plain = at[stop[0]] == separator && at[stop[1]] == separator && at[stop[2]] == separator &&
                       (marks.minus & inside) == negative << p_begin && stop[kP] - p_begin == 1 + negative &&
                       (at[stop[kP] - 1] & 0xFE) == '0' && x_count - 1 < 4 && y_count - 1 < 4;
    if (!plain) return 0;
    const unsigned t_begin = kTimeLast ? stop[2] + 1 : 0;
    const unsigned t_end = kTimeLast ? stop[3] : stop[0];
    if (!read_time<kDecimal>(at, t_begin, t_end, marks.point & inside, line.t)) return 0;
    const uint64_t place = read_pair(at + stop[kX], x_count, at + stop[kX + 1], y_count);
    line.x = static_cast<uint32_t>(place);
    line.y = static_cast<uint32_t>(place >> 32);
    line.p = (at[stop[kP] - 1] & 1u) & ~negative;
    return length;
}

}  // namespace edgesnn::events::csv
