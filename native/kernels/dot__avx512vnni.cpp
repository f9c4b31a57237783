// acc[n] = sum over k of w[n][k] * q[k], or of groups of it times their multipliers; y[n] = ((float(acc[n]) * scale[n])
// * s_x) + bias[n]. Layouts and bounds: DotMatrix in kernels.hpp.
// The instruction multiplies unsigned by signed bytes. int8: (q + 128) * w, less 128 * the sum of w. int4: (w + 8) * q
// of the low halves and 16 * (w + 8) * q of the high ones, less 8 * the sum of q. Sums wrap around and come right.
#if defined(__x86_64__)
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"
#include "kernels/dot_tiles.hpp"

namespace edgesnn::kernels {
namespace {

inline __m512i load(const void* p) noexcept {
    return _mm512_loadu_si512(p);
}

// Of a tile of several rows, which takes long enough for the next tile's weights to come: asks for these.
template <size_t R, size_t B>
inline __m512i load_and_go_on(const DotMatrix& m, const char* w) noexcept {
    if constexpr (R > 1) _mm_prefetch(w + B * m.blocks * 64, _MM_HINT_T1);
    return load(w);
}

// Four of q for every output.
inline __m512i four(const int8_t* q) noexcept {
    int32_t bits;
    __builtin_memcpy(&bits, q, sizeof(bits));
    return _mm512_set1_epi32(bits);
}

inline void finish(const DotMatrix& m, size_t column, __m512i acc, float s_x, float* y) noexcept {
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(m.scale + column));
    const __m512 whole = _mm512_mul_ps(scaled, _mm512_set1_ps(s_x));
    _mm512_storeu_ps(y + column, _mm512_add_ps(whole, _mm512_loadu_ps(m.bias + column)));
}

struct TileI8 {
    static constexpr bool kBiased = false;

    static __m512i begin(const DotMatrix& m, size_t column) noexcept {
        return _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(load(m.sums + column), 7));
    }

    // Four of q for every output, as unsigned.
    static __m512i shifted(const int8_t* q) noexcept { return _mm512_xor_si512(four(q), _mm512_set1_epi8(-128)); }

    // One row reads the weights from one end to the other, as memory gives them fastest. Inputs come in sixteens.
    static void run_one(const DotMatrix& m, const Place& at) noexcept {
        const char* w = weights_of(m, at.column);
        __m512i acc[4] = {begin(m, at.column)};
        for (size_t k = 0; k < m.inputs; k += 16, w += 256)
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; ++i)
                acc[i] = _mm512_dpbusd_epi32(acc[i], shifted(at.q + k + 4 * i), load(w + 64 * i));
        const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(acc[0], acc[1]), _mm512_add_epi32(acc[2], acc[3]));
        finish(m, at.column, sum, at.s_x[0], at.y);
    }

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        if constexpr (R * B == 1) return run_one(m, at);
        const char* w = weights_of(m, at.column);
        __m512i acc[R][B];
        for (size_t b = 0; b < B; ++b)
            for (size_t r = 0; r < R; ++r) acc[r][b] = begin(m, at.column + 16 * b);
        for (size_t block = 0; block < (m.inputs + 3) / 4; ++block, w += 64) {
            __m512i weights[B];
#pragma GCC unroll 8
            for (size_t b = 0; b < B; ++b) weights[b] = load_and_go_on<R, B>(m, w + b * m.blocks * 64);
#pragma GCC unroll 8
            for (size_t r = 0; r < R; ++r) {
                const __m512i q = shifted(at.q + r * at.q_stride + 4 * block);
#pragma GCC unroll 8
                for (size_t b = 0; b < B; ++b) acc[r][b] = _mm512_dpbusd_epi32(acc[r][b], q, weights[b]);
            }
        }
        for (size_t r = 0; r < R; ++r)
            for (size_t b = 0; b < B; ++b) finish(m, at.column + 16 * b, acc[r][b], at.s_x[r], at.y + r * m.stride);
    }
};

struct TileI4 {
    static constexpr bool kBiased = true;

    // One group: low[r][b] and, sixteenfold, high[r][b].
    template <size_t R, size_t B>
    static void add_blocks(const DotMatrix& m, const Place& at, const char* w, size_t begin, size_t end,
                           __m512i (&low)[R][B], __m512i (&high)[R][B]) noexcept {
        const __m512i low_half = _mm512_set1_epi8(15), high_half = _mm512_set1_epi8(-16);
        for (size_t block = begin; block < end; ++block) {
            __m512i weights[B];
#pragma GCC unroll 8
            for (size_t b = 0; b < B; ++b) weights[b] = load_and_go_on<R, B>(m, w + (b * m.blocks + block) * 64);
#pragma GCC unroll 8
            for (size_t r = 0; r < R; ++r) {
                const int8_t* q = at.q + r * at.q_stride + 8 * block;
                const __m512i front = four(q), back = four(q + 4);
#pragma GCC unroll 8
                for (size_t b = 0; b < B; ++b) {
                    low[r][b] = _mm512_dpbusd_epi32(low[r][b], _mm512_and_si512(weights[b], low_half), front);
                    high[r][b] = _mm512_dpbusd_epi32(high[r][b], _mm512_and_si512(weights[b], high_half), back);
                }
            }
        }
    }

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        const size_t blocks = (m.inputs + 7) / 8, step = m.group / 8;
        __m512i acc[R][B] = {};
        for (size_t g = 0; g * step < blocks; ++g) {
            __m512i low[R][B], high[R][B] = {};
            for (size_t r = 0; r < R; ++r)
                for (size_t b = 0; b < B; ++b) low[r][b] = _mm512_set1_epi32(-at.biases[r][g]);
            add_blocks<R, B>(m, at, weights_of(m, at.column), g * step,
                             blocks < (g + 1) * step ? blocks : (g + 1) * step, low, high);
            for (size_t b = 0; b < B; ++b) {
                const auto* bytes = m.multipliers + g * m.stride + at.column + 16 * b;
                const __m512i factor = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
                for (size_t r = 0; r < R; ++r) {
                    const __m512i sum = _mm512_add_epi32(low[r][b], _mm512_srai_epi32(high[r][b], 4));
                    acc[r][b] = _mm512_add_epi32(acc[r][b], _mm512_mullo_epi32(sum, factor));
                }
            }
        }
        for (size_t r = 0; r < R; ++r)
            for (size_t b = 0; b < B; ++b) finish(m, at.column + 16 * b, acc[r][b], at.s_x[r], at.y + r * m.stride);
    }
};

}  // namespace

void dot_i8__avx512vnni(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                        float* y) noexcept {
    for_rows<TileI8, 4, 4, 1>(m, q, q_stride, s_x, rows, y);
}

void dot_i4__avx512vnni(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                        float* y) noexcept {
    for_rows<TileI4, 4, 2, 1>(m, q, q_stride, s_x, rows, y);
}

}  // namespace edgesnn::kernels
#endif
