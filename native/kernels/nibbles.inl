// Rows of spikes through a small matrix, and through the neurons after it; included by nibbles_i8__<arm>.cpp, which
// defines EDGESNN_ARM_NAME(name) and row_currents(matrix, the row's spikes as bits, y).

}  // namespace

uint64_t EDGESNN_ARM_NAME(nibbles_i8)(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t*,
                                      void* out) noexcept {
    uint64_t sum = 0;
    float* y = static_cast<float*>(out);
    for (size_t row = 0; row < rows; ++row, x += x_stride, y += m.stride) {
        uint64_t spikes = 0;
        EDGESNN_ARM_NAME(pack_bits)(x, 1, x_stride, &spikes);
        sum += static_cast<unsigned>(__builtin_popcountll(spikes));
        row_currents(m, spikes, y);
    }
    return sum;
}

// A few rows at a time, so that the currents never leave the first-level cache.
uint64_t EDGESNN_ARM_NAME(nibbles_neurons)(const Matrix& m, const Neurons& n, float* v, const uint64_t* x, size_t rows,
                                           uint64_t* s, uint64_t* spikes) noexcept {
    constexpr size_t kRows = 32;
    alignas(64) float currents[kRows * kBitColumns];
    alignas(64) uint8_t bytes[kRows * kBitColumns];
    uint64_t sum = 0, fired = 0;
    for (size_t row = 0; row < rows; row += kRows) {
        const size_t count = kRows < rows - row ? kRows : rows - row;
        for (size_t i = 0; i < count; ++i) {
            row_currents(m, x[row + i], currents + i * m.stride);
            sum += static_cast<unsigned>(__builtin_popcountll(x[row + i]));
        }
        NeuronStates states;
        states.v = v + row * m.stride;
        fired += EDGESNN_ARM_NAME(neurons_f32)(n, states, currents, nullptr, nullptr, count, m.stride, bytes);
        EDGESNN_ARM_NAME(pack_bits)(bytes, count, m.stride, s + row);
    }
    *spikes = fired;
    return sum;
}
