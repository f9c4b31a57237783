// A matrix of small integers with its neurons: see counts_neurons.inl. A small matrix goes through dot products of four
// inputs (vpdpbusd), whatever is active: acc[n] = sum over k of x[k] * w[n][k], exact in 32 bits. Its weights are read
// once for kRows rows.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx512vnni

namespace edgesnn::kernels {
namespace {

#include "kernels/counts_neurons.inl"
#include "kernels/neuron_update.inl"

constexpr size_t kRows = 4;

struct Input {
    const uint8_t* x;
    size_t stride, groups;
};

inline __m512i four(const uint8_t* x) noexcept {
    int32_t bytes;
    std::memcpy(&bytes, x, sizeof(bytes));
    return _mm512_set1_epi32(bytes);
}

// 16 * B outputs from `column` on of R rows; returns their spikes.
template <size_t R, size_t B, typename Flags>
EDGESNN_INLINE uint64_t rows_of(const Matrix& m, const Neurons& given, const NeuronStates& states, const Input& in,
                                size_t row, size_t column, uint8_t* s) noexcept {
    const int8_t* w = m.blocks + column / 16 * in.groups * 64;
    const uint8_t* x = in.x + row * in.stride;
    __m512i acc[R][B] = {};
    for (size_t g = 0; g < in.groups; ++g) {
        __m512i weights[B];
        for (size_t b = 0; b < B; ++b) weights[b] = _mm512_loadu_si512(w + (b * in.groups + g) * 64);
        for (size_t r = 0; r < R; ++r) {
            const __m512i q = four(x + r * in.stride + 4 * g);
            for (size_t b = 0; b < B; ++b) acc[r][b] = _mm512_dpbusd_epi32(acc[r][b], q, weights[b]);
        }
    }
    const Neurons n = Flags::of(given);
    uint64_t spikes = 0;
    for (size_t b = 0; b < B; ++b) {
        const size_t from = column + 16 * b;
        const Column p = column_of(n, from);
        const __m512 scale = _mm512_loadu_ps(m.scale + from), bias = _mm512_loadu_ps(m.bias + from);
        for (size_t r = 0; r < R; ++r) {
            const size_t at = (row + r) * m.stride + from;
            const __m512 current = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(acc[r][b]), scale), bias);
            const Outcome made[kSixteen] = {update(n, states, p, at, current)};
            spikes += emit(n, made, at, s);
        }
    }
    return spikes;
}

template <size_t B, typename Flags>
uint64_t columns(const Matrix& m, const Neurons& n, const NeuronStates& states, const Input& in, size_t rows,
                 size_t column, uint8_t* s) noexcept {
    uint64_t spikes = 0;
    size_t row = 0;
    for (; row + kRows <= rows; row += kRows) spikes += rows_of<kRows, B, Flags>(m, n, states, in, row, column, s);
    for (; row < rows; ++row) spikes += rows_of<1, B, Flags>(m, n, states, in, row, column, s);
    return spikes;
}

template <typename Flags>
uint64_t all_columns(const Matrix& m, const Neurons& n, const NeuronStates& states, const Input& in, size_t rows,
                     uint8_t* s) noexcept {
    uint64_t spikes = 0;
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64) spikes += columns<4, Flags>(m, n, states, in, rows, column, s);
    if (column + 32 <= m.stride) {
        spikes += columns<2, Flags>(m, n, states, in, rows, column, s);
        column += 32;
    }
    if (column < m.stride) spikes += columns<1, Flags>(m, n, states, in, rows, column, s);
    return spikes;
}

// The padding of x is zero.
inline uint64_t sum_of(const uint8_t* x, size_t bytes) noexcept {
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < bytes; i += 64) {
        const __mmask64 inside = bytes - i >= 64 ? ~__mmask64{0} : (__mmask64{1} << (bytes - i)) - 1;
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(inside, x + i), _mm512_setzero_si512()));
    }
    return static_cast<uint64_t>(_mm512_reduce_add_epi64(sums));
}

}  // namespace

uint64_t counts_neurons__avx512vnni(const Matrix& m, const Neurons& n, float* v, const uint8_t* x, size_t x_stride,
                                    size_t rows, uint32_t* active, uint8_t* s, uint64_t* spikes) noexcept {
    if (m.blocks == nullptr) return by_rows(m, n, v, x, x_stride, rows, active, s, spikes);
    const Input in{x, x_stride, (m.inputs + 3) / 4};
    NeuronStates states;
    states.v = v;
    *spikes = with_usual_flags(n, [&](auto flags) { return all_columns<decltype(flags)>(m, n, states, in, rows, s); });
    return sum_of(x, rows * x_stride);
}

}  // namespace edgesnn::kernels
#endif
