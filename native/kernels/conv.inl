// Convolutions, event by event; included by conv__<arm>.cpp. For each input (channel, y, x) that is
// not zero the row of its weights is added to every output that it reaches: acc[oy][ox][n] += w[c][ky][kx][n] * value.
//
// An input reaches an output through one tap only, so the order of the events is the order of each output's sum.
// |w| <= 127, |w * value| <= 127 * 255; that the sums fit 32 bits is checked at load.

#include "kernels/lanes16.inl"

// Sixteen accumulators += weights * value; loads and stores by value, so that nothing may alias.
inline void add_sixteen(const Masks& w, int32_t value, int32_t* acc) noexcept {
    Masks sum;
    load(sum, acc);
    store(acc, sum + w * value);
}

inline void add_row(const int8_t* w, int32_t value, size_t columns, int32_t* acc) noexcept {
    size_t n = 0;
    for (; n + kBlock <= columns; n += kBlock) {
        Masks wide;
        widen(wide, w + n);
        add_sixteen(wide, value, acc + n);
    }
    for (; n < columns; ++n) acc[n] += w[n] * value;
}

inline void add_row(const float* w, float value, size_t columns, float* acc) noexcept {
    size_t n = 0;
    for (; n + kBlock <= columns; n += kBlock) {
        Floats sum, row;
        load(sum, acc + n);
        load(row, w + n);
        store(acc + n, sum + row * value);
    }
    for (; n < columns; ++n) acc[n] = acc[n] + w[n] * value;
}

struct Nibbles {  // rows of layout "im4"; `first` is the first output of the group
    const uint8_t* row;
    size_t first;
};

inline void add_row(const Nibbles& w, int32_t value, size_t columns, int32_t* acc) noexcept {
    size_t n = 0;
    if (w.first % kBlock == 0)
        for (; n + kBlock <= columns; n += kBlock) {
            const size_t at = w.first + n;
            Masks wide;
            widen(wide, w.row + at / 32 * 16);
            wide = at % 32 < 16 ? wide & 15 : wide >> 4;
            add_sixteen(wide - 8, value, acc + n);
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
    const size_t first = group * g.group_outputs, plane = channel * g.kernel_height * g.kernel_width;
    const uint32_t *y = g.taps_y + e.y * g.taps, *x = g.taps_x + e.x * g.taps;
    const uint32_t rows = y[0], columns = x[0];
    for (uint32_t i = 1; i <= rows; ++i) {
        const size_t row = plane + (y[i] & 0xFFFF) * g.kernel_width, place = (y[i] >> 16) * g.width;
        for (uint32_t j = 1; j <= columns; ++j)
            add(row + (x[j] & 0xFFFF), first, (place + (x[j] >> 16)) * g.stride + first);
    }
    return size_t{rows} * columns;
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
