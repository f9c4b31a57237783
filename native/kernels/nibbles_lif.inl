// A small matrix of spikes and its neurons, a few rows at a time, so that the currents never leave the first-level
// cache; included by nibbles_lif__<arm>.cpp, which defines EDGESNN_ARM_NAME(name).

constexpr size_t kCurrents = 2048;  // floats

inline Lif* choose(const PlainNeurons& n) noexcept {
    using Reset = PlainNeurons::Reset;
    if (n.reset == Reset::zero) return n.ge ? EDGESNN_ARM_NAME(lif_ge_zero) : EDGESNN_ARM_NAME(lif_gt_zero);
    if (n.reset == Reset::subtract) return n.ge ? EDGESNN_ARM_NAME(lif_ge_subtract) : EDGESNN_ARM_NAME(lif_gt_subtract);
    return n.ge ? EDGESNN_ARM_NAME(lif_ge_none) : EDGESNN_ARM_NAME(lif_gt_none);
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(nibbles_lif)(const Matrix& m, const PlainNeurons& n, const uint8_t* x, size_t x_stride,
                                       size_t rows, uint8_t* s, uint64_t* spikes) noexcept {
    alignas(64) float currents[kCurrents];
    Lif* const update = choose(n);
    const size_t most = kCurrents / m.stride;
    uint64_t sum = 0, fired = 0;
    for (size_t row = 0; row < rows; row += most) {
        const size_t count = most < rows - row ? most : rows - row, at = row * m.stride;
        sum += EDGESNN_ARM_NAME(nibbles_i8)(m, x + row * x_stride, x_stride, count, nullptr, currents);
        fired += update(n.alpha, n.v_th, currents, count, m.stride, n.v + at, s + at);
    }
    *spikes = fired;
    return sum;
}
