// Rows of small integers through a matrix and the neurons after it, a few rows at a time, so that the currents never
// leave the first-level cache; included by counts_neurons__<arm>.cpp, which defines EDGESNN_ARM_NAME(name).

constexpr size_t kCurrents = 2048;  // floats

inline uint64_t by_rows(const Matrix& m, const Neurons& n, float* v, const uint8_t* x, size_t x_stride, size_t rows,
                        uint32_t* active, uint8_t* s, uint64_t* spikes) noexcept {
    alignas(64) float currents[kCurrents];
    const size_t most = kCurrents / m.stride;
    uint64_t sum = 0, fired = 0;
    for (size_t row = 0; row < rows; row += most) {
        const size_t count = most < rows - row ? most : rows - row, at = row * m.stride;
        NeuronStates states;
        states.v = v + at;
        sum += EDGESNN_ARM_NAME(counts_i8)(m, x + row * x_stride, x_stride, count, active, currents);
        fired += EDGESNN_ARM_NAME(neurons_f32)(n, states, currents, nullptr, nullptr, count, m.stride, s + at);
    }
    *spikes = fired;
    return sum;
}
