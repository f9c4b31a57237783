// acc[n] = sum over groups of four inputs of table[group][pattern of spikes][n]; y[n] = float(acc[n]) * scale[n] +
// bias[n], or straight into the neurons. At most 64 inputs of 0 or 1: 64 * 127 = 8,128 fits int16.
#if defined(__x86_64__)
#include <cstring>
#include <type_traits>

#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

#include "kernels/neuron_update.inl"

// Sums of 16 * B columns of a table whose rows are `stride` apart, over `groups` groups of four inputs.
template <size_t B>
inline void sum_columns(const int16_t* table, size_t stride, size_t groups, uint64_t spikes,
                        __m256i (&acc)[B]) noexcept {
    __m512i pairs[(B + 1) / 2] = {};
    __m256i odd = _mm256_setzero_si256();
    for (size_t g = 0; g < groups; ++g, table += 16 * stride, spikes >>= 4) {
        const int16_t* row = table + (spikes & 15) * stride;
        for (size_t b = 0; b + 2 <= B; b += 2)
            pairs[b / 2] = _mm512_add_epi16(pairs[b / 2], _mm512_loadu_si512(row + 16 * b));
        if (B % 2 != 0)
            odd = _mm256_add_epi16(odd, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 16 * (B - 1))));
    }
    for (size_t b = 0; b + 2 <= B; b += 2) {
        acc[b] = _mm512_castsi512_si256(pairs[b / 2]);
        acc[b + 1] = _mm512_extracti64x4_epi64(pairs[b / 2], 1);
    }
    if (B % 2 != 0) acc[B - 1] = odd;
}

inline size_t groups_of(const Matrix& m) noexcept {
    return (m.inputs + 3) / 4;
}

// Of 16 * B columns.
template <size_t B>
struct Scale {
    Scale(const Matrix& m, size_t column) {
        for (size_t b = 0; b < B; ++b) {
            scale[b] = _mm512_loadu_ps(m.scale + column + 16 * b);
            bias[b] = _mm512_loadu_ps(m.bias + column + 16 * b);
        }
    }
    __m512 current(size_t b, __m256i acc) const noexcept {
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(acc));
        return _mm512_add_ps(_mm512_mul_ps(sum, scale[b]), bias[b]);
    }

    __m512 scale[B], bias[B];
};

template <size_t B>
inline void currents(const Matrix& m, uint64_t spikes, size_t column, float* y) noexcept {
    const Scale<B> scale(m, column);
    __m256i acc[B];
    sum_columns<B>(static_cast<const int16_t*>(m.weights) + column, m.stride, groups_of(m), spikes, acc);
    for (size_t b = 0; b < B; ++b) _mm512_storeu_ps(y + column + 16 * b, scale.current(b, acc[b]));
}

// G groups of four inputs; 0 where the matrix says how many.
template <size_t B, size_t G, typename Flags>
uint64_t neurons(const Matrix& m, const Neurons& given, float* v, const uint64_t* x, size_t rows, uint64_t* s,
                 uint64_t* spikes) noexcept {
    const Neurons n = Flags::of(given);
    const Scale<B> scale(m, 0);
    Column columns[B];
    for (size_t b = 0; b < B; ++b) columns[b] = column_of(n, 16 * b);
    NeuronStates states;
    states.v = v;
    const auto* table = static_cast<const int16_t*>(m.weights);
    const size_t groups = G != 0 ? G : groups_of(m);
    uint64_t sum = 0, total = 0;
    for (size_t row = 0, at = 0; row < rows; ++row) {
        __m256i acc[B];
        sum_columns<B>(table, 16 * B, groups, x[row], acc);
        uint64_t fired = 0;
        for (size_t b = 0; b < B; ++b, at += 16)
            fired |= uint64_t{update(n, states, columns[b], at, scale.current(b, acc[b])).fired} << (16 * b);
        s[row] = fired;
        total += static_cast<unsigned>(__builtin_popcountll(fired));
        sum += static_cast<unsigned>(__builtin_popcountll(x[row]));
    }
    *spikes = total;
    return sum;
}

// The common numbers of inputs have loops of their own, for the common neurons.
template <size_t B, typename Flags>
uint64_t by_groups(const Matrix& m, const Neurons& n, float* v, const uint64_t* x, size_t rows, uint64_t* s,
                   uint64_t* spikes) noexcept {
    using Reset = Neurons::Reset;
    constexpr bool kCommon =
        std::is_same_v<Flags, Usual<true, Reset::zero>> || std::is_same_v<Flags, Usual<true, Reset::subtract>>;
    switch (kCommon ? groups_of(m) : 0) {
        case 1:
            return neurons<B, kCommon ? 1 : 0, Flags>(m, n, v, x, rows, s, spikes);
        case 2:
            return neurons<B, kCommon ? 2 : 0, Flags>(m, n, v, x, rows, s, spikes);
        case 4:
            return neurons<B, kCommon ? 4 : 0, Flags>(m, n, v, x, rows, s, spikes);
        case 8:
            return neurons<B, kCommon ? 8 : 0, Flags>(m, n, v, x, rows, s, spikes);
        case 16:
            return neurons<B, kCommon ? 16 : 0, Flags>(m, n, v, x, rows, s, spikes);
        default:
            return neurons<B, 0, Flags>(m, n, v, x, rows, s, spikes);
    }
}

template <size_t B>
uint64_t by_flags(const Matrix& m, const Neurons& n, float* v, const uint64_t* x, size_t rows, uint64_t* s,
                  uint64_t* spikes) noexcept {
    return with_usual_flags(n, [&](auto flags) { return by_groups<B, decltype(flags)>(m, n, v, x, rows, s, spikes); });
}

}  // namespace

uint64_t nibbles_i8__avx512vnni(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                                void* out) noexcept {
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        uint64_t spikes = 0;
        pack_bits__avx512vnni(x, 1, x_stride, &spikes);
        sum += static_cast<unsigned>(__builtin_popcountll(spikes));
        size_t column = 0;
        for (; column + 64 <= m.stride; column += 64) currents<4>(m, spikes, column, y);
        if (column + 32 <= m.stride) {
            currents<2>(m, spikes, column, y);
            column += 32;
        }
        if (column < m.stride) currents<1>(m, spikes, column, y);
    }
    return sum;
}

uint64_t nibbles_neurons__avx512vnni(const Matrix& m, const Neurons& n, float* v, const uint64_t* x, size_t rows,
                                     uint64_t* s, uint64_t* spikes) noexcept {
    switch (m.stride) {
        case 16:
            return by_flags<1>(m, n, v, x, rows, s, spikes);
        case 32:
            return by_flags<2>(m, n, v, x, rows, s, spikes);
        case 48:
            return by_flags<3>(m, n, v, x, rows, s, spikes);
        default:
            return by_flags<4>(m, n, v, x, rows, s, spikes);
    }
}

}  // namespace edgesnn::kernels
#endif
