// acc[n] = sum over groups of four inputs of the dot product of their spikes with their weights, four at a time by
// vpdpbusd; y[n] = float(acc[n]) * scale[n] + bias[n], or straight into the neurons. At most 32 inputs of 0 or 1. The
// weights are the second part of nibble_table.hpp; those of up to 64 outputs stay in registers for all rows.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"
#include "kernels/nibble_table.hpp"

namespace edgesnn::kernels {
namespace {

struct Input {
    const uint8_t* x;
    size_t stride, rows;
};

inline __m512i four(const uint8_t* x) noexcept {
    int32_t bytes;
    std::memcpy(&bytes, x, sizeof(bytes));
    return _mm512_set1_epi32(bytes);
}

// 16 * B outputs of G groups of four inputs, row by row; finish(row, b, acc) takes the sums.
template <size_t G, size_t B, typename Finish>
inline void chunk(const int8_t* w, const Input& in, const Finish& finish) noexcept {
    __m512i weights[B][G];
    for (size_t b = 0; b < B; ++b)
        for (size_t g = 0; g < G; ++g) weights[b][g] = _mm512_loadu_si512(w + (b * G + g) * 64);
    const uint8_t* x = in.x;
    for (size_t row = 0; row < in.rows; ++row, x += in.stride) {
        __m512i acc[B] = {};
        for (size_t g = 0; g < G; ++g) {
            const __m512i q = four(x + 4 * g);
            for (size_t b = 0; b < B; ++b) acc[b] = _mm512_dpbusd_epi32(acc[b], q, weights[b][g]);
        }
        for (size_t b = 0; b < B; ++b) finish(row, b, acc[b]);
    }
}

// Writes currents.
template <size_t B>
struct Currents {
    Currents(const Matrix& m, size_t column, float* to) : y(to + column), stride(m.stride) {
        for (size_t b = 0; b < B; ++b) {
            scale[b] = _mm512_loadu_ps(m.scale + column + 16 * b);
            bias[b] = _mm512_loadu_ps(m.bias + column + 16 * b);
        }
    }
    __m512 current(size_t b, __m512i acc) const noexcept {
        return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale[b]), bias[b]);
    }
    void operator()(size_t row, size_t b, __m512i acc) const noexcept {
        _mm512_storeu_ps(y + row * stride + 16 * b, current(b, acc));
    }

    __m512 scale[B], bias[B];
    float* y;
    size_t stride;
};

// Updates neurons and writes spikes.
template <size_t B, bool kGe, PlainNeurons::Reset kReset>
struct Neurons16 {
    Neurons16(const Matrix& m, const PlainNeurons& n, size_t column, uint8_t* to, uint64_t& sum)
        : currents(m, column, n.v), s(to + column), spikes(sum) {
        for (size_t b = 0; b < B; ++b) {
            alpha[b] = _mm512_loadu_ps(n.alpha + column + 16 * b);
            v_th[b] = _mm512_loadu_ps(n.v_th + column + 16 * b);
        }
    }
    void operator()(size_t row, size_t b, __m512i acc) const noexcept {
        const size_t at = row * currents.stride + 16 * b;
        const __m512 decayed = _mm512_mul_ps(_mm512_loadu_ps(currents.y + at), alpha[b]);
        __m512 u = _mm512_add_ps(decayed, currents.current(b, acc));
        const __mmask16 fired = _mm512_cmp_ps_mask(u, v_th[b], kGe ? _CMP_GE_OQ : _CMP_GT_OQ);
        if constexpr (kReset == PlainNeurons::Reset::zero) u = _mm512_mask_mov_ps(u, fired, _mm512_setzero_ps());
        if constexpr (kReset == PlainNeurons::Reset::subtract) u = _mm512_mask_sub_ps(u, fired, u, v_th[b]);
        _mm512_storeu_ps(currents.y + at, u);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(s + at), _mm_maskz_set1_epi8(fired, 1));
        spikes += static_cast<unsigned>(__builtin_popcount(fired));
    }

    Currents<B> currents;  // y is the membranes
    __m512 alpha[B], v_th[B];
    uint8_t* s;
    uint64_t& spikes;
};

template <size_t B, typename Finish>
void groups(const Matrix& m, size_t column, const Input& in, const Finish& finish) noexcept {
    const size_t count = (m.inputs + 3) / 4;
    const int8_t* w = dot_blocks(m) + column / 16 * count * 64;
    switch (count) {
        case 1:
            return chunk<1, B>(w, in, finish);
        case 2:
            return chunk<2, B>(w, in, finish);
        case 3:
            return chunk<3, B>(w, in, finish);
        case 4:
            return chunk<4, B>(w, in, finish);
        case 5:
            return chunk<5, B>(w, in, finish);
        case 6:
            return chunk<6, B>(w, in, finish);
        case 7:
            return chunk<7, B>(w, in, finish);
        default:
            return chunk<8, B>(w, in, finish);
    }
}

inline uint64_t sum_of(const Input& in) noexcept {
    const __mmask32 inside = in.stride > 16 ? 0xFFFFFFFFU : 0xFFFFU;
    __m256i sums = _mm256_setzero_si256();
    for (size_t row = 0; row < in.rows; ++row) {
        const __m256i bytes = _mm256_maskz_loadu_epi8(inside, in.x + row * in.stride);
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
    alignas(32) uint64_t parts[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts), sums);
    return parts[0] + parts[1] + parts[2] + parts[3];
}

template <bool kGe, PlainNeurons::Reset kReset>
void neurons(const Matrix& m, const PlainNeurons& n, const Input& in, uint8_t* s, uint64_t& spikes) noexcept {
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64)
        groups<4>(m, column, in, Neurons16<4, kGe, kReset>(m, n, column, s, spikes));
    if (column + 32 <= m.stride) {
        groups<2>(m, column, in, Neurons16<2, kGe, kReset>(m, n, column, s, spikes));
        column += 32;
    }
    if (column < m.stride) groups<1>(m, column, in, Neurons16<1, kGe, kReset>(m, n, column, s, spikes));
}

template <bool kGe>
void by_reset(const Matrix& m, const PlainNeurons& n, const Input& in, uint8_t* s, uint64_t& spikes) noexcept {
    using Reset = PlainNeurons::Reset;
    if (n.reset == Reset::zero) return neurons<kGe, Reset::zero>(m, n, in, s, spikes);
    if (n.reset == Reset::subtract) return neurons<kGe, Reset::subtract>(m, n, in, s, spikes);
    neurons<kGe, Reset::none>(m, n, in, s, spikes);
}

}  // namespace

uint64_t nibbles_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                                void* out) noexcept {
    const Input in{x, x_stride, rows};
    float* y = static_cast<float*>(out);
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64) groups<4>(m, column, in, Currents<4>(m, column, y));
    if (column + 32 <= m.stride) {
        groups<2>(m, column, in, Currents<2>(m, column, y));
        column += 32;
    }
    if (column < m.stride) groups<1>(m, column, in, Currents<1>(m, column, y));
    return sum_of(in);
}

uint64_t nibbles_lif__avx512vnni(const Matrix& m, const PlainNeurons& n, const uint8_t* x, size_t x_stride, size_t rows,
                                 uint8_t* s, uint64_t* spikes) noexcept {
    const Input in{x, x_stride, rows};
    uint64_t sum = 0;
    n.ge ? by_reset<true>(m, n, in, s, sum) : by_reset<false>(m, n, in, s, sum);
    *spikes = sum;
    return sum_of(in);
}

}  // namespace edgesnn::kernels
#endif
