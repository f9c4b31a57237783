// Neurons over rows of currents, or of sums with the scale and bias of their channel; included by neurons__<arm>.cpp,
// which defines EDGESNN_ARM_NAME(name). The equations are in neuron_update.inl.

#include "kernels/neuron_update.inl"

constexpr size_t kRowsAtOnce = 32;  // for which parameters stay in registers while all stay in the first-level cache

EDGESNN_INLINE Reals current(const float* x) noexcept {
    return fetch<Reals>(x);
}
EDGESNN_INLINE Reals current(const int32_t* x) noexcept {
    return reals(fetch<Ints>(x));
}

// Sixteen neurons of each of `rows` rows, from `column` on.
template <bool kScaled, typename X>
EDGESNN_INLINE uint64_t columns(const Neurons& n, const NeuronStates& states, const X* x, const float* scale,
                                const float* bias, size_t first, size_t rows, size_t stride, size_t column,
                                void* out) noexcept {
    Column p[kSixteen];
    Reals factor[kSixteen] = {}, addend[kSixteen] = {};
    for (size_t i = 0; i < kSixteen; ++i) {
        p[i] = column_of(n, column + i * kWidth);
        if (kScaled) factor[i] = fetch<Reals>(scale + column + i * kWidth);
        if (kScaled) addend[i] = fetch<Reals>(bias + column + i * kWidth);
    }
    uint64_t sum = 0;
    for (size_t at = first * stride + column, end = at + rows * stride; at < end; at += stride) {
        Outcome made[kSixteen];
        for (size_t i = 0; i < kSixteen; ++i) {
            Reals c = current(x + at + i * kWidth);
            if (kScaled) c = c * factor[i] + addend[i];
            made[i] = update(n, states, p[i], at + i * kWidth, c);
        }
        sum += emit(n, made, at, out);
    }
    return sum;
}

// `count` rows from `first` on.
template <bool kScaled, typename X>
EDGESNN_INLINE uint64_t block(const Neurons& n, const NeuronStates& states, const X* x, const float* scale,
                              const float* bias, size_t first, size_t count, size_t stride, void* out) noexcept {
    uint64_t sum = 0;
    for (size_t column = 0; column < stride; column += 16)
        sum += columns<kScaled>(n, states, x, scale, bias, first, count, stride, column, out);
    return sum;
}

template <bool kScaled, typename X>
EDGESNN_INLINE uint64_t run(const Neurons& given, const NeuronStates& places, const X* x, const float* scale,
                            const float* bias, size_t rows, size_t stride, void* out) noexcept {
    const auto work = [&](auto flags) {
        const Neurons n = flags.of(given);  // of this loop alone, so that nothing that is written may be they
        const NeuronStates states = places;
        if (!kScaled && rows == 1) return block<kScaled>(n, states, x, scale, bias, 0, 1, stride, out);
        uint64_t sum = 0;
        for (size_t first = 0; first < rows; first += kRowsAtOnce) {
            const size_t count = rows - first < kRowsAtOnce ? rows - first : kRowsAtOnce;
            sum += block<kScaled>(n, states, x, scale, bias, first, count, stride, out);
        }
        return sum;
    };
    return given.usual() ? with_usual_flags(given, work) : work(Any{});
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(neurons_f32)(const Neurons& n, const NeuronStates& states, const float* x, const float* scale,
                                       const float* bias, size_t rows, size_t stride, void* out) noexcept {
    return scale == nullptr ? run<false>(n, states, x, scale, bias, rows, stride, out)
                            : run<true>(n, states, x, scale, bias, rows, stride, out);
}

uint64_t EDGESNN_ARM_NAME(neurons_i32)(const Neurons& n, const NeuronStates& states, const int32_t* x,
                                       const float* scale, const float* bias, size_t rows, size_t stride,
                                       void* out) noexcept {
    return run<true>(n, states, x, scale, bias, rows, stride, out);
}
