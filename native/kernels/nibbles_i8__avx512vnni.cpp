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

#include "kernels/neuron_update.inl"

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

// Updates neurons and writes what they did.
template <size_t B, typename Flags>
struct Updates {
    Updates(const Matrix& m, const Neurons& n, float* v, size_t at, uint8_t* to, uint64_t& sum)
        : currents(m, at, nullptr), neurons(n), column(at), s(to), spikes(sum) {
        states.v = v;
        for (size_t b = 0; b < B; ++b) given[b] = column_of(Flags::of(n), column + 16 * b);
    }
    void operator()(size_t row, size_t b, __m512i acc) const noexcept {
        const Neurons n = Flags::of(neurons);
        const size_t at = row * currents.stride + column + 16 * b;
        const Outcome made[kSixteen] = {update(n, states, given[b], at, currents.current(b, acc))};
        spikes += emit(n, made, at, s);
    }

    Currents<B> currents;
    Column given[B];
    const Neurons& neurons;
    NeuronStates states;
    size_t column;
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

template <typename Flags>
uint64_t neurons(const Matrix& m, const Neurons& n, float* v, const Input& in, uint8_t* s) noexcept {
    uint64_t spikes = 0;
    size_t column = 0;
    for (; column + 64 <= m.stride; column += 64)
        groups<4>(m, column, in, Updates<4, Flags>(m, n, v, column, s, spikes));
    if (column + 32 <= m.stride) {
        groups<2>(m, column, in, Updates<2, Flags>(m, n, v, column, s, spikes));
        column += 32;
    }
    if (column < m.stride) groups<1>(m, column, in, Updates<1, Flags>(m, n, v, column, s, spikes));
    return spikes;
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

uint64_t nibbles_neurons__avx512vnni(const Matrix& m, const Neurons& n, float* v, const uint8_t* x, size_t x_stride,
                                     size_t rows, uint8_t* s, uint64_t* spikes) noexcept {
    const Input in{x, x_stride, rows};
    *spikes = with_usual_flags(n, [&](auto flags) { return neurons<decltype(flags)>(m, n, v, in, s); });
    return sum_of(in);
}

}  // namespace edgesnn::kernels
#endif
