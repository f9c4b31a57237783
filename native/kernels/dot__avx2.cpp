// acc[n] = sum over k of w[n][k] * q[k], or of groups of it times their multipliers; y[n] = ((float(acc[n]) * scale[n])
// * s_x) + bias[n]. Layouts and bounds: DotMatrix in kernels.hpp.
// The instruction multiplies unsigned by signed bytes and adds pairs in 16 bits. int8: |q| by w with the sign of q:
// 2 * 127 * 127 = 32,258 < 2^15. int4: (w + 8) by q, eight pairs before they go to 32 bits: 8 * 2 * 15 * 127 = 30,480;
// less 8 * the sum of q.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/arms.hpp"
#include "kernels/dot_tiles.hpp"

namespace edgesnn::kernels {
namespace {

inline __m256i load(const char* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Four of q for every output.
inline __m256i four(const int8_t* q) noexcept {
    int32_t bits;
    __builtin_memcpy(&bits, q, sizeof(bits));
    return _mm256_set1_epi32(bits);
}

inline __m256i add_pairs(__m256i acc, __m256i pairs) noexcept {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// Eight outputs.
inline void finish(const DotMatrix& m, size_t column, __m256i acc, float s_x, float* y) noexcept {
    const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(m.scale + column));
    const __m256 whole = _mm256_mul_ps(scaled, _mm256_set1_ps(s_x));
    _mm256_storeu_ps(y + column, _mm256_add_ps(whole, _mm256_loadu_ps(m.bias + column)));
}

// Half h of a tile holds its outputs 8 h to 8 h + 7.
template <size_t R, size_t H>
inline void finish_all(const DotMatrix& m, const Place& at, const __m256i (&acc)[R][H]) noexcept {
    for (size_t r = 0; r < R; ++r)
        for (size_t h = 0; h < H; ++h) finish(m, at.column + 8 * h, acc[r][h], at.s_x[r], at.y + r * m.stride);
}

struct TileI8 {
    static constexpr bool kBiased = false;

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        const char* w = weights_of(m, at.column);
        __m256i acc[R][2 * B] = {};
        for (size_t block = 0; block < (m.inputs + 3) / 4; ++block, w += 64) {
#pragma GCC unroll 2
            for (size_t r = 0; r < R; ++r) {
                const __m256i q = four(at.q + r * at.q_stride + 4 * block), size = _mm256_abs_epi8(q);
#pragma GCC unroll 4
                for (size_t h = 0; h < 2 * B; ++h) {
                    const __m256i weights = load(w + h / 2 * m.blocks * 64 + h % 2 * 32);
                    acc[r][h] = add_pairs(acc[r][h], _mm256_maddubs_epi16(size, _mm256_sign_epi8(weights, q)));
                }
            }
        }
        finish_all(m, at, acc);
    }
};

struct TileI4 {
    static constexpr bool kBiased = true;

    // At most four blocks of 8 inputs.
    template <size_t R, size_t B>
    static void add_blocks(const DotMatrix& m, const Place& at, size_t begin, size_t end,
                           __m256i (&sums)[R][2 * B]) noexcept {
        const __m256i mask = _mm256_set1_epi8(15);
        const char* w = weights_of(m, at.column);
        __m256i pairs[R][2 * B] = {};
        for (size_t block = begin; block < end; ++block)
#pragma GCC unroll 4
            for (size_t h = 0; h < 2 * B; ++h) {
                const __m256i weights = load(w + (h / 2 * m.blocks + block) * 64 + h % 2 * 32);
                const __m256i low = _mm256_and_si256(weights, mask);
                const __m256i high = _mm256_and_si256(_mm256_srli_epi16(weights, 4), mask);
#pragma GCC unroll 2
                for (size_t r = 0; r < R; ++r) {
                    const int8_t* q = at.q + r * at.q_stride + 8 * block;
                    pairs[r][h] = _mm256_add_epi16(pairs[r][h], _mm256_maddubs_epi16(low, four(q)));
                    pairs[r][h] = _mm256_add_epi16(pairs[r][h], _mm256_maddubs_epi16(high, four(q + 4)));
                }
            }
#pragma GCC unroll 2
        for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (size_t h = 0; h < 2 * B; ++h) sums[r][h] = add_pairs(sums[r][h], pairs[r][h]);
    }

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        const size_t blocks = (m.inputs + 7) / 8, step = m.group / 8;
        __m256i acc[R][2 * B] = {};
        for (size_t g = 0; g * step < blocks; ++g) {
            __m256i sums[R][2 * B];
            for (size_t r = 0; r < R; ++r)
                for (size_t h = 0; h < 2 * B; ++h) sums[r][h] = _mm256_set1_epi32(-at.biases[r][g]);
            const size_t end = blocks < (g + 1) * step ? blocks : (g + 1) * step;
            for (size_t block = g * step; block < end; block += 4)
                add_blocks<R, B>(m, at, block, block + 4 < end ? block + 4 : end, sums);
            for (size_t h = 0; h < 2 * B; ++h) {
                const auto* bytes = m.multipliers + g * m.stride + at.column + 8 * h;
                const __m256i factor = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
                for (size_t r = 0; r < R; ++r)
                    acc[r][h] = _mm256_add_epi32(acc[r][h], _mm256_mullo_epi32(sums[r][h], factor));
            }
        }
        finish_all(m, at, acc);
    }
};

}  // namespace

void dot_i8__avx2(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                  float* y) noexcept {
    for_rows<TileI8, 2, 2, 1>(m, q, q_stride, s_x, rows, y);
}

void dot_i4__avx2(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                  float* y) noexcept {
    for_rows<TileI4, 2, 1, 1>(m, q, q_stride, s_x, rows, y);
}

}  // namespace edgesnn::kernels
#endif
