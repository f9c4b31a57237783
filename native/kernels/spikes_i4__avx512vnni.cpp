// acc[n] = sum over active k of w[k][n], w in [-8, 7] in layout im4 (kernels.hpp); y[n] = float(acc[n]) * scale[n] +
// bias[n], or acc[n].
// Many rows are added bit by bit: a full adder takes three vectors to a sum and a carry of twice its weight, two
// instructions for 128 outputs whatever the halves of the bytes mean, so that only what eight rows carry over is split
// into bytes (u8: 17 carries of at most 15, hence at most 136 rows a segment). Few rows, and the up to seven that are
// left, are split themselves. small = those and the planes: at most 15 * 17, or 15 * 7 + 15 * 7.
#if defined(__x86_64__)
#include "kernels/gather__avx512vnni.hpp"

namespace edgesnn::kernels {
namespace {

constexpr uint32_t kLimit = 136;
constexpr size_t kFew = 12;       // rows; at most 17
constexpr size_t kBlock = 64;     // bytes: 128 outputs
constexpr size_t kMaxBlocks = 4;  // of one tile

struct Planes {
    __m512i ones;
    __m512i twos;
    __m512i fours;
};

// Unsigned bytes: of the low halves and of the high halves.
struct Bytes {
    __m512i low;
    __m512i high;
};

// sum = the sum's bits of three vectors; returns their carries.
inline __m512i full_add(__m512i& sum, __m512i a, __m512i b) noexcept {
    constexpr int kXor = 0x96, kMajority = 0xE8;
    const __m512i carry = _mm512_ternarylogic_epi64(sum, a, b, kMajority);
    sum = _mm512_ternarylogic_epi64(sum, a, b, kXor);
    return carry;
}

inline __m512i low_of(__m512i v) noexcept {
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline __m512i high_of(__m512i v) noexcept {
    return low_of(_mm512_srli_epi16(v, 4));
}

inline void add(Bytes& bytes, __m512i v) noexcept {
    bytes.low = _mm512_add_epi8(bytes.low, low_of(v));
    bytes.high = _mm512_add_epi8(bytes.high, high_of(v));
}

// ones + 2 twos + 4 fours, of at most 15 each.
inline __m512i weighted(__m512i ones, __m512i twos, __m512i fours) noexcept {
    const __m512i upper = _mm512_add_epi8(_mm512_add_epi8(fours, fours), twos);
    return _mm512_add_epi8(_mm512_add_epi8(upper, upper), ones);
}

// Adds block v of eight rows to the planes; returns what they carry over.
inline __m512i add_eight(Planes& p, const uint8_t* const* rows, size_t offset, __mmask64 inside) noexcept {
    const auto row = [&](size_t i) { return _mm512_maskz_loadu_epi8(inside, rows[i] + offset); };
    const __m512i twos_a = full_add(p.ones, row(0), row(1)), twos_b = full_add(p.ones, row(2), row(3));
    const __m512i fours_a = full_add(p.twos, twos_a, twos_b);
    const __m512i twos_c = full_add(p.ones, row(4), row(5)), twos_d = full_add(p.ones, row(6), row(7));
    return full_add(p.fours, fours_a, full_add(p.twos, twos_c, twos_d));
}

// Sixteen bytes of each: 8 * eights + small - bias.
inline __m256i total(__m128i eights, __m128i small, __m256i bias) noexcept {
    const __m256i scaled = _mm256_slli_epi16(_mm256_cvtepu8_epi16(eights), 3);
    return _mm256_sub_epi16(_mm256_add_epi16(scaled, _mm256_cvtepu8_epi16(small)), bias);
}

template <int kLane>
inline void emit_lane(const Matrix& m, const Segment& s, size_t column, const Bytes& eights, const Bytes& small,
                      __m256i bias, void* y) noexcept {
    if (column >= m.stride) return;
    emit(m, s, column,
         total(_mm512_extracti32x4_epi32(eights.low, kLane), _mm512_extracti32x4_epi32(small.low, kLane), bias), y);
    if (column + 16 >= m.stride) return;
    emit(m, s, column + 16,
         total(_mm512_extracti32x4_epi32(eights.high, kLane), _mm512_extracti32x4_epi32(small.high, kLane), bias), y);
}

template <size_t V>
struct Tile {
    Planes planes[V] = {};
    Bytes eights[V] = {};
    Bytes small[V] = {};

    // Rows of the segment, eight at a time; returns the first that is left.
    size_t add_eights(const Active& a, size_t begin, size_t end, const uint8_t* w, size_t bytes,
                      __mmask64 last) noexcept {
        size_t i = begin;
        for (; i + 8 <= end; i += 8) {
            const uint8_t* rows[8];
            for (size_t j = 0; j < 8; ++j) rows[j] = w + a.index[i + j] * bytes;
#pragma GCC unroll 4
            for (size_t v = 0; v < V; ++v)
                add(eights[v], add_eight(planes[v], rows, v * kBlock, v + 1 < V ? ~__mmask64{0} : last));
        }
        return i;
    }

    void add_rest(const Active& a, size_t begin, size_t end, const uint8_t* w, size_t bytes, __mmask64 last) noexcept {
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) {
            const Planes& p = planes[v];
            small[v] = {weighted(low_of(p.ones), low_of(p.twos), low_of(p.fours)),
                        weighted(high_of(p.ones), high_of(p.twos), high_of(p.fours))};
        }
        for (size_t i = begin; i < end; ++i) {
            const uint8_t* row = w + a.index[i] * bytes;
#pragma GCC unroll 4
            for (size_t v = 0; v < V; ++v)
                add(small[v], _mm512_maskz_loadu_epi8(v + 1 < V ? ~__mmask64{0} : last, row + v * kBlock));
        }
    }
};

// V blocks from byte `offset` of the rows on.
template <size_t V>
void run_tile(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    const size_t bytes = im4_bytes(m.stride), rows = s.end - s.begin;
    const __mmask64 last = first_bytes(bytes - offset - (V - 1) * kBlock);
    const uint8_t* w = static_cast<const uint8_t*>(m.weights) + offset;
    Tile<V> tile;
    const size_t rest = rows < kFew ? s.begin : tile.add_eights(a, s.begin, s.end, w, bytes, last);
    tile.add_rest(a, rest, s.end, w, bytes, last);
    const __m256i bias = _mm256_set1_epi16(static_cast<int16_t>(8 * rows));
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
        const size_t column = 2 * (offset + v * kBlock);
        emit_lane<0>(m, s, column, tile.eights[v], tile.small[v], bias, y);
        emit_lane<1>(m, s, column + 32, tile.eights[v], tile.small[v], bias, y);
        emit_lane<2>(m, s, column + 64, tile.eights[v], tile.small[v], bias, y);
        emit_lane<3>(m, s, column + 96, tile.eights[v], tile.small[v], bias, y);
    }
}

void columns(const Matrix& m, const Active& a, const Segment& s, size_t offset, void* y) noexcept {
    switch ((im4_bytes(m.stride) - offset + kBlock - 1) / kBlock) {
        case 1:
            return run_tile<1>(m, a, s, offset, y);
        case 2:
            return run_tile<2>(m, a, s, offset, y);
        case 3:
            return run_tile<3>(m, a, s, offset, y);
        default:
            return run_tile<kMaxBlocks>(m, a, s, offset, y);
    }
}

}  // namespace

uint64_t spikes_i4__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                               void* y) noexcept {
    return for_segments<false>(m, x, x_stride, rows, active, kLimit, y, find_active,
                               [&m](const Active& a, const Segment& s, void* out) {
                                   for (size_t offset = 0; offset < im4_bytes(m.stride); offset += kMaxBlocks * kBlock)
                                       columns(m, a, s, offset, out);
                               });
}

}  // namespace edgesnn::kernels
#endif
