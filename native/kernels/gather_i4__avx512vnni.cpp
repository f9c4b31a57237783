// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// Spikes: many rows are added bit by bit: a full adder takes three vectors to a sum and a carry of twice its weight,
// two instructions for 128 outputs whatever the halves of the bytes mean, so that only what eight rows carry over is
// split into bytes (u8: 17 carries of at most 15), and those are added to 16 bits. At most 4,096 rows a segment: the
// sums of w lie in [-32,768, 28,672], so the bits of the biased sums minus 8 * rows are right. Few rows are split
// themselves.
// Counts: the bytes of four rows side by side, w_high * 16 + w_low, both biased, are multiplied by their four values
// (vpdpbusd): all = sum x * byte, low = sum x * (w_low + 8); then w_high's biased sum is (all - low) / 16. Where a
// value is no signed byte, the weights are: with its top bit turned a byte is w_high * 16 + (w_low + 8), w_high not
// biased. A segment's values sum to at most 2^23: 255 * 2^23 < 2^31.
#if defined(__x86_64__)
#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

inline __m512i low_of(__m512i v) noexcept {
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline __m512i high_of(__m512i v) noexcept {
    return low_of(_mm512_srli_epi16(v, 4));
}

// Unsigned bytes: of the low halves and of the high halves.
struct Bytes {
    __m512i low;
    __m512i high;

    void add(__m512i v) noexcept {
        low = _mm512_add_epi8(low, low_of(v));
        high = _mm512_add_epi8(high, high_of(v));
    }
};

// sum = the sum's bits of three vectors; returns their carries.
inline __m512i full_add(__m512i& sum, __m512i a, __m512i b) noexcept {
    constexpr int kXor = 0x96, kMajority = 0xE8;
    const __m512i carry = _mm512_ternarylogic_epi64(sum, a, b, kMajority);
    sum = _mm512_ternarylogic_epi64(sum, a, b, kXor);
    return carry;
}

// ones + 2 twos + 4 fours, of at most 15 each.
inline __m512i weighted(__m512i ones, __m512i twos, __m512i fours) noexcept {
    const __m512i upper = _mm512_add_epi8(_mm512_add_epi8(fours, fours), twos);
    return _mm512_add_epi8(_mm512_add_epi8(upper, upper), ones);
}

// A block's outputs: 16-bit sums of the low halves and of the high halves, in the order of emit_sums.
template <typename Part>
EDGESNN_INLINE void emit_halves(const Matrix& m, const Part& s, size_t column, const __m512i (&low)[2],
                                const __m512i (&high)[2], void* y) noexcept {
    emit_sums<32>(m, s, column, low[0], low[1], y);
    emit_sums<32>(m, s, column + 16, high[0], high[1], y);
}

inline void widen(__m512i (&words)[2], __m512i bytes) noexcept {
    words[0] = _mm512_add_epi16(words[0], _mm512_unpacklo_epi8(bytes, _mm512_setzero_si512()));
    words[1] = _mm512_add_epi16(words[1], _mm512_unpackhi_epi8(bytes, _mm512_setzero_si512()));
}

// Less what the halves are biased by.
template <typename Part>
EDGESNN_INLINE __m512i bias_of(const Part& s) noexcept {
    return _mm512_set1_epi16(static_cast<int16_t>(8 * s.sum));
}

// A few rows of spikes: at most 17.
struct Few {
    static constexpr size_t kBlocks = 4, kOutputs = 2;

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        const __m512i none = _mm512_sub_epi16(_mm512_setzero_si512(), bias_of(s));
        __m512i low[2] = {none, none}, high[2] = {none, none};
        widen(low, rows.low);
        widen(high, rows.high);
        emit_halves(m, s, column, low, high, y);
    }

    Bytes rows;
};

struct Planes {
    static constexpr size_t kBlocks = 4, kOutputs = 2;
    static constexpr size_t kCarries = 17;

    // Adds a block of eight rows, of which one vector is carried over to the eights.
    template <typename Row>
    EDGESNN_INLINE void add(const Row& row) noexcept {
        const __m512i twos_a = full_add(ones, row(0), row(1)), twos_b = full_add(ones, row(2), row(3));
        const __m512i fours_a = full_add(twos, twos_a, twos_b);
        const __m512i twos_c = full_add(ones, row(4), row(5)), twos_d = full_add(ones, row(6), row(7));
        eights.add(full_add(fours, fours_a, full_add(twos, twos_c, twos_d)));
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        __m512i low[2] = {}, high[2] = {};
        widen(low, eights.low);
        widen(high, eights.high);
        emit_eights(m, s, column, low, high, y);
    }

    // 8 * the eights and the planes.
    template <typename Part>
    EDGESNN_INLINE void emit_eights(const Matrix& m, const Part& s, size_t column, __m512i (&low)[2],
                                    __m512i (&high)[2], void* y) const noexcept {
        for (size_t i = 0; i < 2; ++i) {
            low[i] = _mm512_sub_epi16(_mm512_slli_epi16(low[i], 3), bias_of(s));
            high[i] = _mm512_sub_epi16(_mm512_slli_epi16(high[i], 3), bias_of(s));
        }
        widen(low, weighted(low_of(ones), low_of(twos), low_of(fours)));
        widen(high, weighted(high_of(ones), high_of(twos), high_of(fours)));
        emit_halves(m, s, column, low, high, y);
    }

    __m512i ones, twos, fours;
    Bytes eights;
};

// For more than kCarries.
struct WidePlanes : Planes {
    void empty_eights() noexcept {
        widen(low, eights.low);
        widen(high, eights.high);
        eights = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        __m512i lows[2] = {low[0], low[1]}, highs[2] = {high[0], high[1]};
        emit_eights(m, s, column, lows, highs, y);
    }

    __m512i low[2], high[2];  // of the eights
};

// 32-bit sums: 128-bit lane i of [j] is of the bytes 16 * i + 4 * j to + 3 of a block. Bytes are unsigned where no
// value is above 127, else values are.
template <bool kSmall>
struct Quads {
    static constexpr bool kCounts = true;
    static constexpr uint32_t kLimit = 1 << 23;
    static constexpr size_t kBlocks = 2, kOutputs = 2;

    void add(const __m512i (&row)[4], __m512i values) noexcept {
        const __m512i low_a = _mm512_unpacklo_epi8(row[0], row[1]), low_b = _mm512_unpacklo_epi8(row[2], row[3]);
        const __m512i high_a = _mm512_unpackhi_epi8(row[0], row[1]), high_b = _mm512_unpackhi_epi8(row[2], row[3]);
        add_four(0, _mm512_unpacklo_epi16(low_a, low_b), values);
        add_four(1, _mm512_unpackhi_epi16(low_a, low_b), values);
        add_four(2, _mm512_unpacklo_epi16(high_a, high_b), values);
        add_four(3, _mm512_unpackhi_epi16(high_a, high_b), values);
    }

    void add_four(size_t j, __m512i bytes, __m512i values) noexcept {
        if constexpr (kSmall) {
            all[j] = _mm512_dpbusd_epi32(all[j], bytes, values);
            low[j] = _mm512_dpbusd_epi32(low[j], low_of(bytes), values);
        } else {
            all[j] = _mm512_dpbusd_epi32(all[j], values, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
            low[j] = _mm512_dpbusd_epi32(low[j], values, low_of(bytes));
        }
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        const __m512i bias = _mm512_set1_epi32(static_cast<int32_t>(8 * s.sum));
        __m512i lows[4], highs[4];
        for (size_t j = 0; j < 4; ++j) {
            const __m512i high = _mm512_srai_epi32(_mm512_sub_epi32(all[j], low[j]), 4);
            lows[j] = _mm512_sub_epi32(low[j], bias);
            highs[j] = kSmall ? _mm512_sub_epi32(high, bias) : high;
        }
        emit_fours<32>(m, s, column, lows, y);
        emit_fours<32>(m, s, column + 16, highs, y);
    }

    __m512i all[4];
    __m512i low[4];
};

// Rows that are taken eight at a time.
struct List {
    size_t groups() const noexcept { return (count + 7) / 8; }

    const uint32_t* index;
    size_t count;
};

constexpr uint8_t kNoRow[Planes::kBlocks * kBlock] = {};

// The i-th eight rows; where the list ends, no rows.
template <typename Rows>
EDGESNN_INLINE void locate(const Rows& rows, const List& list, size_t i, const uint8_t* (&at)[8]) noexcept {
    const uint32_t* index = list.index + 8 * i;
    const size_t left = list.count - 8 * i;
    if (left >= 8)
        for (size_t j = 0; j < 8; ++j) at[j] = rows.row(index[j]);
    else
        for (size_t j = 0; j < 8; ++j) at[j] = j < left ? rows.row(index[j]) : kNoRow;
}

// The eights from the begin-th to before the end-th.
template <typename Sums, size_t V, typename Rows>
EDGESNN_INLINE void add_groups(Sums (&sums)[V], const Rows& rows, const List& list, size_t begin, size_t end) noexcept {
    for (size_t i = begin; i < end; ++i) {
        const uint8_t* at[8];
        locate(rows, list, i, at);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].add([&](size_t j) { return rows.block(at[j], v); });
    }
}

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Few (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    for (size_t i = s.begin; i < s.end; ++i) {
        const uint8_t* row = rows.row(a.index[i]);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].rows.add(rows.block(row, v));
    }
}

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Planes (&sums)[V], const Rows& rows, const List& list, const Segment&) noexcept {
    add_groups(sums, rows, list, 0, list.groups());
}

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(WidePlanes (&sums)[V], const Rows& rows, const List& list, const Segment&) noexcept {
    const size_t groups = list.groups();
    for (size_t i = 0; i < groups; i += Planes::kCarries) {
        add_groups(sums, rows, list, i, groups - i < Planes::kCarries ? groups : i + Planes::kCarries);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].empty_eights();
    }
}

// Four rows from the i-th on and their values, a byte each; where the list ends, any row times zero.
template <typename Rows>
EDGESNN_INLINE uint32_t locate(const Rows& rows, const Active& a, size_t i, size_t end,
                               const uint8_t* (&at)[4]) noexcept {
    uint32_t values = 0;
    for (size_t j = 0; j < 4; ++j) {
        const bool inside = i + j < end;
        const uint32_t k = a.index[inside ? i + j : i];
        at[j] = rows.row(k);
        values |= (inside ? uint32_t{a.x[k]} : 0) << 8 * j;
    }
    return values;
}

template <bool kSmall, size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Quads<kSmall> (&sums)[V], const Rows& rows, const Active& a,
                                const Segment& s) noexcept {
    constexpr size_t kAhead = 8;  // rows: two lines of each are too few for the machine to see a stream
    for (size_t i = s.begin; i < s.end; i += 4) {
        for (size_t j = i + kAhead; j < i + kAhead + 4 && j < s.end; ++j)
            for (size_t v = 0; v < V; ++v)
                _mm_prefetch(reinterpret_cast<const char*>(rows.row(a.index[j]) + v * kBlock), _MM_HINT_T0);
        const uint8_t* at[4];
        const __m512i values = _mm512_set1_epi32(static_cast<int>(locate(rows, a, i, s.end, at)));
#pragma GCC unroll 2
        for (size_t v = 0; v < V; ++v) {
            const __m512i row[4] = {rows.block(at[0], v), rows.block(at[1], v), rows.block(at[2], v),
                                    rows.block(at[3], v)};
            sums[v].add(row, values);
        }
    }
}

void spikes_row(const Matrix& m, const Active& a, void* y) noexcept {
    constexpr uint32_t kLimit = 4096;
    constexpr size_t kFew = 12;
    if (a.count <= kFew) return gather_segment<Few>(m, a, segment<false>(a, 0, kLimit), y);
    for_segments<false>(a, kLimit, [&](const Segment& s) {
        const List list{a.index + s.begin, s.end - s.begin};
        if (list.groups() <= Planes::kCarries) return gather_segment<Planes>(m, list, s, y);
        gather_segment<WidePlanes>(m, list, s, y);
    });
}

void counts_row(const Matrix& m, const Active& a, void* y) noexcept {
    if (a.small) return gather_row<Quads<true>>(m, a, y);
    gather_row<Quads<false>>(m, a, y);
}

}  // namespace

uint64_t spikes_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return for_rows(m, x, x_stride, rows, active, y, [&m](const Active& a, void* out) { spikes_row(m, a, out); });
}

uint64_t counts_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return for_rows(m, x, x_stride, rows, active, y, [&m](const Active& a, void* out) { counts_row(m, a, out); });
}

}  // namespace edgesnn::kernels
#endif
