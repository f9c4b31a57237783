// A small matrix of spikes and its neurons, a few rows at a time, so that the currents never leave the first-level
// cache; included by nibbles_neurons__<arm>.cpp, which defines EDGESNN_ARM_NAME(name).

constexpr size_t kCurrents = 2048;  // floats

}  // namespace

uint64_t EDGESNN_ARM_NAME(nibbles_neurons)(const Matrix& m, const Neurons& n, float* v, const uint8_t* x,
                                           size_t x_stride, size_t rows, uint8_t* s, uint64_t* spikes) noexcept {
    alignas(64) float currents[kCurrents];
    const size_t most = kCurrents / m.stride;
    uint64_t sum = 0, fired = 0;
    for (size_t row = 0; row < rows; row += most) {
        const size_t count = most < rows - row ? most : rows - row, at = row * m.stride;
        NeuronStates states;
        states.v = v + at;
        sum += EDGESNN_ARM_NAME(nibbles_i8)(m, x + row * x_stride, x_stride, count, nullptr, currents);
        fired += EDGESNN_ARM_NAME(neurons_f32)(n, states, currents, nullptr, nullptr, count, m.stride, s + at);
    }
    *spikes = fired;
    return sum;
}
