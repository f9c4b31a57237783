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

constexpr size_t kFew = 12;       // rows of spikes; at most 17
constexpr size_t kBlock = 64;     // bytes: 128 outputs
constexpr size_t kMaxBlocks = 4;  // of one tile

// Block v of V of a row; of the last one the bytes in `last`.
template <size_t V>
inline __m512i block(const uint8_t* row, size_t v, __mmask64 last) noexcept {
    return _mm512_maskz_loadu_epi8(v + 1 < V ? ~__mmask64{0} : last, row + v * kBlock);
}

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

struct SpikeSums {
    static constexpr bool kCounts = false;
    static constexpr uint32_t kLimit = 136;

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

    __m512i ones, twos, fours;
    Bytes eights, small;
};

// 16-bit sums of the bytes 0-7, 16-23, 32-39, 48-55 of a block ([0]) and of the others ([1]).
struct CountSums {
    static constexpr bool kCounts = true;
    static constexpr uint32_t kLimit = 255;

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

    __m512i all[2];
    __m512i low[2];
};

template <size_t V>
inline void add_segment(SpikeSums (&sums)[V], const uint8_t* w, size_t bytes, const Active& a, const Segment& s,
                        __mmask64 last) noexcept {
    size_t i = s.begin;
    if (s.end - s.begin >= kFew)
        for (; i + 8 <= s.end; i += 8) {
            const uint8_t* rows[8];
            for (size_t j = 0; j < 8; ++j) rows[j] = w + a.index[i + j] * bytes;
#pragma GCC unroll 4
            for (size_t v = 0; v < V; ++v) sums[v].add_eight([&](size_t j) { return block<V>(rows[j], v, last); });
        }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) sums[v].add_planes();
    for (; i < s.end; ++i) {
        const uint8_t* row = w + a.index[i] * bytes;
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) sums[v].small.add(block<V>(row, v, last));
    }
}

template <size_t V>
inline void add_rows(CountSums (&sums)[V], const uint8_t* a, const uint8_t* b, int values, __mmask64 last) noexcept {
    const __m512i both = _mm512_set1_epi16(static_cast<int16_t>(values));
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const __m512i c = block<V>(a, v, last), d = block<V>(b, v, last);
        sums[v].add_half(0, _mm512_unpacklo_epi8(c, d), both);
        sums[v].add_half(1, _mm512_unpackhi_epi8(c, d), both);
    }
}

template <size_t V>
inline void add_segment(CountSums (&sums)[V], const uint8_t* w, size_t bytes, const Active& a, const Segment& s,
                        __mmask64 last) noexcept {
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        add_rows(sums, w + k * bytes, w + l * bytes, a.x[k] | a.x[l] << 8, last);
    }
    if (i < s.end) add_rows(sums, w + a.index[i] * bytes, w + a.index[i] * bytes, a.x[a.index[i]], last);
}

template <int kLane, typename Sums>
inline void emit_lane(const Matrix& m, const Segment& s, size_t column, const Sums& sums, __m256i bias,
                      void* y) noexcept {
    if (column >= m.stride) return;
    const Halves halves = sums.template lane<kLane>(bias);
    emit(m, s, column, halves.low, y);
    if (column + 16 < m.stride) emit(m, s, column + 16, halves.high, y);
}

// V blocks from byte `offset` of the rows on.
template <typename Sums, size_t V>
void tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const size_t bytes = im4_bytes(m.stride);
    const __mmask64 last = first_bytes(bytes - offset - (V - 1) * kBlock);
    Sums sums[V] = {};
    add_segment(sums, static_cast<const uint8_t*>(m.weights) + offset, bytes, a, s, last);
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(8 * s.sum));
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const size_t column = 2 * (offset + v * kBlock);
        emit_lane<0>(m, s, column, sums[v], bias, y);
        emit_lane<1>(m, s, column + 32, sums[v], bias, y);
        emit_lane<2>(m, s, column + 64, sums[v], bias, y);
        emit_lane<3>(m, s, column + 96, sums[v], bias, y);
    }
}

template <typename Sums>
void columns(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    switch ((im4_bytes(m.stride) - offset + kBlock - 1) / kBlock) {
        case 1:
            return tile<Sums, 1>(m, a, s, offset, y);
        case 2:
            return tile<Sums, 2>(m, a, s, offset, y);
        case 3:
            return tile<Sums, 3>(m, a, s, offset, y);
        default:
            return tile<Sums, kMaxBlocks>(m, a, s, offset, y);
    }
}

template <typename Sums>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_segments<Sums::kCounts>(
        m, x, x_stride, rows, index, Sums::kLimit, y, find_active, [&m](const Active& a, const Segment& s, void* out) {
            for (size_t offset = 0; offset < im4_bytes(m.stride); offset += kMaxBlocks * kBlock)
                columns<Sums>(m, a, s, offset, out);
        });
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
