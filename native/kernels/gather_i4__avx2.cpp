// acc[n] = sum over active k of x[k] * w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) *
// scale[n] + bias[n], or acc[n].
// Spikes: the biased halves of the bytes are summed in u8 for at most 17 rows (17 * 15 = 255), then in 16 bits for at
// most 4,096: the sums of w lie in [-32,768, 28,672], so the bits of the biased sums minus 8 * rows are right. Counts:
// a byte with its top bit turned is, as a signed number, w_high * 16 + (w_low + 8). Two rows at a time are interleaved
// and multiplied by their two values: all = sum x * byte, low = sum x * (w_low + 8); then w_high's sum is (all - low)
// / 16. A segment's values sum to at most 255: 128 * 255 = 32,640 < 2^15.
#if defined(__x86_64__)
#include "kernels/gather__avx2.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/gather.inl"

constexpr size_t kRows = 17;  // of spikes

inline __m256i low_of(__m256i v) noexcept {
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

// Unsigned bytes: sums of the low halves and of the high halves of at most kRows rows.
struct Bytes {
    void add(__m256i v) noexcept {
        low = _mm256_add_epi8(low, low_of(v));
        high = _mm256_add_epi8(high, low_of(_mm256_srli_epi16(v, 4)));
    }

    __m256i low;
    __m256i high;
};

inline void widen(__m256i (&words)[2], __m256i bytes) noexcept {
    const __m256i zero = _mm256_setzero_si256();
    words[0] = _mm256_add_epi16(words[0], _mm256_unpacklo_epi8(bytes, zero));
    words[1] = _mm256_add_epi16(words[1], _mm256_unpackhi_epi8(bytes, zero));
}

// The sums of sixteen bytes, of the bytes 0-7 and 16-23 of a block ([0]) and of the others ([1]).
template <int kLane>
inline __m256i lane(const __m256i (&words)[2]) noexcept {
    return _mm256_permute2x128_si256(words[0], words[1], kLane == 0 ? 0x20 : 0x31);
}

template <typename Part>
inline __m256i bias_of(const Part& s) noexcept {
    return _mm256_set1_epi16(static_cast<int16_t>(8 * s.sum));
}

struct SpikeSums {
    static constexpr bool kCounts = false;
    static constexpr uint32_t kLimit = 4096;
    static constexpr size_t kBlocks = 2, kOutputs = 2;

    void add(const Bytes& bytes) noexcept {
        widen(low, bytes.low);
        widen(high, bytes.high);
    }

    template <int kLane, typename Part>
    EDGESNN_INLINE void emit_lane(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_sums(m, s, column, _mm256_sub_epi16(lane<kLane>(low), bias_of(s)), y);
        emit_sums(m, s, column + 16, _mm256_sub_epi16(lane<kLane>(high), bias_of(s)), y);
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_lane<0>(m, s, column, y);
        emit_lane<1>(m, s, column + 32, y);
    }

    __m256i low[2];
    __m256i high[2];
};

template <size_t V, typename Rows>
EDGESNN_INLINE void add_segment(SpikeSums (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    for (size_t begin = s.begin; begin < s.end; begin += kRows) {
        const size_t end = s.end - begin < kRows ? s.end : begin + kRows;
        Bytes bytes[V] = {};
        for (size_t i = begin; i < end; ++i) {
            const uint8_t* row = rows.row(a.index[i]);
#pragma GCC unroll 2
            for (size_t v = 0; v < V; ++v) bytes[v].add(rows.block(row, v));
        }
#pragma GCC unroll 2
        for (size_t v = 0; v < V; ++v) sums[v].add(bytes[v]);
    }
}

struct CountSums {
    static constexpr bool kCounts = true;
    static constexpr uint32_t kLimit = 255;
    static constexpr size_t kBlocks = 2, kOutputs = 2;

    void add_half(size_t half, __m256i bytes, __m256i values) noexcept {
        const __m256i whole = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
        all[half] = _mm256_add_epi16(all[half], _mm256_maddubs_epi16(values, whole));
        low[half] = _mm256_add_epi16(low[half], _mm256_maddubs_epi16(values, low_of(bytes)));
    }

    void add_pair(__m256i a, __m256i b, int values) noexcept {
        const __m256i both = _mm256_set1_epi16(static_cast<int16_t>(values));
        add_half(0, _mm256_unpacklo_epi8(a, b), both);
        add_half(1, _mm256_unpackhi_epi8(a, b), both);
    }

    template <int kLane, typename Part>
    EDGESNN_INLINE void emit_lane(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        const __m256i lows = lane<kLane>(low), highs = _mm256_sub_epi16(lane<kLane>(all), lows);
        emit_sums(m, s, column, _mm256_sub_epi16(lows, bias_of(s)), y);
        emit_sums(m, s, column + 16, _mm256_srai_epi16(highs, 4), y);
    }

    template <typename Part>
    EDGESNN_INLINE void emit(const Matrix& m, const Part& s, size_t column, void* y) const noexcept {
        emit_lane<0>(m, s, column, y);
        emit_lane<1>(m, s, column + 32, y);
    }

    __m256i all[2];
    __m256i low[2];
};

}  // namespace

uint64_t spikes_i4__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<SpikeSums>(m, x, x_stride, rows, active, y);
}

uint64_t counts_i4__avx2(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                         void* y) noexcept {
    return gather<CountSums>(m, x, x_stride, rows, active, y);
}

}  // namespace edgesnn::kernels
#endif
