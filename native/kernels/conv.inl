// Convolutions, event by event; included by conv__<arm>.cpp. For each input (channel, y, x) that is not zero the row of
// its weights is added to every output that it reaches: acc[oy][ox][n] += w[c][ky][kx][n] * value.
//
// An input reaches an output through one tap only, so the order of the events is the order of each output's sum.
// |w| <= 127, |w * value| <= 127 * 255; that the sums fit 32 bits is checked at load.

// columns of acc += weights * value
inline void add_row(const int8_t* w, int32_t value, size_t columns, int32_t* acc) noexcept {
    size_t n = 0;
    for (; n + 16 <= columns; n += 16)
        for (size_t j = 0; j < 16; ++j) acc[n + j] += w[n + j] * value;
    for (; n < columns; ++n) acc[n] += w[n] * value;
}

inline void add_row(const float* w, float value, size_t columns, float* acc) noexcept {
    size_t n = 0;
    for (; n + 16 <= columns; n += 16)
        for (size_t j = 0; j < 16; ++j) acc[n + j] = acc[n + j] + w[n + j] * value;
    for (; n < columns; ++n) acc[n] = acc[n] + w[n] * value;
}

struct Nibbles {  // rows of layout "im4"; `first` is the first output of the group
    const uint8_t* row;
    size_t first;
};

inline void add_row(const Nibbles& w, int32_t value, size_t columns, int32_t* acc) noexcept {
    size_t n = 0;
    if (w.first % 32 == 0)
        for (; n + 32 <= columns; n += 32) {
            const uint8_t* bytes = w.row + (w.first + n) / 2;
            for (size_t j = 0; j < 16; ++j) {
                acc[n + j] += ((bytes[j] & 15) - 8) * value;
                acc[n + 16 + j] += ((bytes[j] >> 4) - 8) * value;
            }
        }
    for (; n < columns; ++n) {
        const size_t at = w.first + n;
        const uint8_t byte = w.row[at / 32 * 16 + at % 16];
        acc[n] += ((at % 32 < 16 ? byte & 15 : byte >> 4) - 8) * value;
    }
}

// Calls add(weights row, first output of the group, place of the accumulators) for each output that the event reaches;
// returns how many.
template <typename Add>
inline size_t scatter(const Conv& g, const ConvEvent& e, Add add) noexcept {
    const size_t group = e.channel / g.group_inputs, channel = e.channel % g.group_inputs;
    const uint32_t *y = g.taps_y + e.y * g.taps, *x = g.taps_x + e.x * g.taps;
    for (uint32_t i = 1; i <= y[0]; ++i)
        for (uint32_t j = 1; j <= x[0]; ++j) {
            const size_t ky = y[i] & 0xFFFF, oy = y[i] >> 16, kx = x[j] & 0xFFFF, ox = x[j] >> 16;
            add((channel * g.kernel_height + ky) * g.kernel_width + kx, group * g.group_outputs,
                (oy * g.width + ox) * g.stride + group * g.group_outputs);
        }
    return size_t{y[0]} * x[0];
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(conv_i8)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const int8_t*>(g.weights);
    auto* acc = static_cast<int32_t*>(out);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<int32_t>(events[i].value);
        sum += static_cast<uint64_t>(value) * scatter(g, events[i], [&](size_t row, size_t first, size_t place) {
                   add_row(weights + row * g.weight_stride + first, value, g.group_outputs, acc + place);
               });
    }
    return sum;
}

uint64_t EDGESNN_ARM_NAME(conv_i4)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const uint8_t*>(g.weights);
    auto* acc = static_cast<int32_t*>(out);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<int32_t>(events[i].value);
        sum += static_cast<uint64_t>(value) * scatter(g, events[i], [&](size_t row, size_t first, size_t place) {
                   add_row(Nibbles{weights + row * g.weight_stride / 2, first}, value, g.group_outputs, acc + place);
               });
    }
    return sum;
}

uint64_t EDGESNN_ARM_NAME(conv_f32)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const float*>(g.weights);
    auto* acc = static_cast<float*>(out);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const size_t reached = scatter(g, events[i], [&](size_t row, size_t first, size_t place) {
            add_row(weights + row * g.weight_stride + first, events[i].value, g.group_outputs, acc + place);
        });
        sum += g.counts ? static_cast<uint64_t>(events[i].value) * reached : reached;
    }
    return sum;
}
