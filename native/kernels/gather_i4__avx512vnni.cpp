// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// Spikes: many rows are added bit by bit: a full adder takes three vectors to a sum and a carry of twice its weight,
// two instructions for 128 outputs whatever the halves of the bytes mean, so that only what eight rows carry over is
// split into bytes (u8: 17 carries of at most 15, hence at most 136 rows a segment). Few rows, and the up to seven that
// are left, are split themselves. small = those and the planes: at most 15 * 17, or 15 * 7 + 15 * 7.
// Counts: a byte with its top bit turned is, as a signed number, w_high * 16 + (w_low + 8). Two rows at a time are
// interleaved and multiplied by their two values: all = sum x * byte, low = sum x * (w_low + 8); then w_high's sum is
// (all - low) / 16. A segment's values sum to at most 255: 128 * 255 = 32,640 < 2^15.
#if defined(__x86_64__)
#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

constexpr size_t kFew = 12;  // rows of spikes; at most 17

inline __m512i low_of(__m512i v) noexcept {
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline __m512i high_of(__m512i v) noexcept {
    return low_of(_mm512_srli_epi16(v, 4));
}

// Sixteen 16-bit sums of the low halves of sixteen bytes, and of the high ones.
struct Halves {
    __m256i low;
    __m256i high;
};

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

// Sixteen bytes of each: 8 * eights + small - bias.
inline __m256i total(__m128i eights, __m128i small, __m256i bias) noexcept {
    const __m256i scaled = _mm256_slli_epi16(_mm256_cvtepu8_epi16(eights), 3);
    return _mm256_sub_epi16(_mm256_add_epi16(scaled, _mm256_cvtepu8_epi16(small)), bias);
}

template <int kLane, typename Sums, typename Part>
EDGESNN_INLINE void emit_lane(const Sums& sums, const Matrix& m, const Part& s, size_t column, __m256i bias,
                              void* y) noexcept {
    const Halves halves = sums.template lane<kLane>(bias);
    emit_sums(m, s, column + 32 * kLane, halves.low, y);
    emit_sums(m, s, column + 32 * kLane + 16, halves.high, y);
}

template <typename Sums, typename Part>
EDGESNN_INLINE void emit_halves(const Sums& sums, const Matrix& m, const Part& s, size_t column, void* y) noexcept {
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(8 * s.sum));
    emit_lane<0>(sums, m, s, column, bias, y);
    emit_lane<1>(sums, m, s, column, bias, y);
    emit_lane<2>(sums, m, s, column, bias, y);
    emit_lane<3>(sums, m, s, column, bias, y);
}

struct SpikeSums {
    static constexpr bool kCounts = false;
    static constexpr uint32_t kLimit = 136;
    static constexpr size_t kBlocks = 4, kOutputs = 2;

    // Adds a block of eight rows to the planes; what they carry over to the eights.
    template <typename Row>
    EDGESNN_INLINE void add_eight(const Row& row) noexcept {
        const __m512i twos_a = full_add(ones, row(0), row(1)), twos_b = full_add(ones, row(2), row(3));
        const __m512i fours_a = full_add(twos, twos_a, twos_b);
        const __m512i twos_c = full_add(ones, row(4), row(5)), twos_d = full_add(ones, row(6), row(7));
        eights.add(full_add(fours, fours_a, full_add(twos, twos_c, twos_d)));
    }

    EDGESNN_INLINE void add_planes() noexcept {
        small = {weighted(low_of(ones), low_of(twos), low_of(fours)),
                 weighted(high_of(ones), high_of(twos), high_of(fours))};
    }

    template <int kLane>
    Halves lane(__m256i bias) const noexcept {
        const auto sums = [bias](__m512i more, __m512i rest) {
            return total(_mm512_extracti32x4_epi32(more, kLane), _mm512_extracti32x4_epi32(rest, kLane), bias);
        };
        return {sums(eights.low, small.low), sums(eights.high, small.high)};
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_halves(*this, m, s, column, y);
    }

    __m512i ones, twos, fours;
    Bytes eights, small;
};

// 16-bit sums of the bytes 0-7, 16-23, 32-39, 48-55 of a block ([0]) and of the others ([1]).
struct CountSums {
    static constexpr bool kCounts = true;
    static constexpr uint32_t kLimit = 255;
    static constexpr size_t kBlocks = 4, kOutputs = 2;

    void add_pair(__m512i a, __m512i b, int values) noexcept {
        const __m512i both = _mm512_set1_epi16(static_cast<int16_t>(values));
        add_half(0, _mm512_unpacklo_epi8(a, b), both);
        add_half(1, _mm512_unpackhi_epi8(a, b), both);
    }

    void add_half(size_t half, __m512i bytes, __m512i values) noexcept {
        const __m512i whole = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
        all[half] = _mm512_add_epi16(all[half], _mm512_maddubs_epi16(values, whole));
        low[half] = _mm512_add_epi16(low[half], _mm512_maddubs_epi16(values, low_of(bytes)));
    }

    template <int kLane>
    Halves lane(__m256i bias) const noexcept {
        const auto sixteen = [](const __m512i(&sums)[2]) {
            return _mm256_setr_m128i(_mm512_extracti32x4_epi32(sums[0], kLane),
                                     _mm512_extracti32x4_epi32(sums[1], kLane));
        };
        const __m256i lows = sixteen(low);
        return {_mm256_sub_epi16(lows, bias), _mm256_srai_epi16(_mm256_sub_epi16(sixteen(all), lows), 4)};
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_halves(*this, m, s, column, y);
    }

    __m512i all[2];
    __m512i low[2];
};

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(SpikeSums (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    size_t i = s.begin;
    if (s.end - s.begin >= kFew)
        for (; i + 8 <= s.end; i += 8) {
            const uint8_t* eight[8];
            for (size_t j = 0; j < 8; ++j) eight[j] = rows.row(a.index[i + j]);
#pragma GCC unroll 4
            for (size_t v = 0; v < V; ++v) sums[v].add_eight([&](size_t j) { return rows.block(eight[j], v); });
        }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) sums[v].add_planes();
    for (; i < s.end; ++i) {
        const uint8_t* row = rows.row(a.index[i]);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].small.add(rows.block(row, v));
    }
}

}  // namespace

uint64_t spikes_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<SpikeSums>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return gather<CountSums>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
