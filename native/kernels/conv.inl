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
    if (columns % kBlock == 0) return;
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
    if (columns % kBlock == 0) return;
    for (; n < columns; ++n) acc[n] = acc[n] + w[n] * value;
}

struct Nibbles {  // rows of layout "im4"; `first` is the first output of the group
    const uint8_t* row;
    size_t first;

    Nibbles operator+(size_t elements) const noexcept { return {row + elements / 2, first}; }
};

inline void add_row(const Nibbles& w, int32_t value, size_t columns, int32_t* acc) noexcept {
    size_t n = 0;
    if (w.first % kBlock == 0)
        for (; n + kBlock <= columns; n += kBlock) {
            const size_t at = w.first + n;
            Masks wide;
            widen(wide, w.row + at / 32 * 16);
            if (at % 32 == 0 && n + 2 * kBlock <= columns) {
                add_sixteen((wide & 15) - 8, value, acc + n);
                n += kBlock;
                add_sixteen((wide >> 4) - 8, value, acc + n);
            } else {
                wide = at % 32 < 16 ? wide & 15 : wide >> 4;
                add_sixteen(wide - 8, value, acc + n);
            }
        }
    for (; n < columns; ++n) {
        const size_t at = w.first + n;
        const uint8_t byte = w.row[at / 32 * 16 + at % 16];
        acc[n] += ((at % 32 < 16 ? byte & 15 : byte >> 4) - 8) * value;
    }
}

// add(weights, sums) for every pair of the taps [y, y_end) and `kCount` taps x, or those of [x, x_end) where that is 0.
template <size_t kCount, typename Row, typename T, typename Add>
inline void add_taps(const ConvTap* y, const ConvTap* y_end, const ConvTap* x, const ConvTap* x_end, const Row& weights,
                     T* sums, const Add& add) noexcept {
    ConvTap taps[kCount + 1];
    std::memcpy(taps, x, kCount * sizeof(*x));
    for (; y != y_end; ++y) {
        const Row row = weights + y->weight;
        T* const places = sums + y->place;
        for (size_t i = 0; i < kCount; ++i) add(row + taps[i].weight, places + taps[i].place);
        if (kCount == 0)
            for (const ConvTap* tap = x; tap != x_end; ++tap) add(row + tap->weight, places + tap->place);
    }
}

// add(weights, sums) for each output that the event reaches; returns how many. rows(first output of the group).
template <typename Rows, typename T, typename Add>
inline size_t scatter(const Conv& g, const ConvEvent& e, const Rows& rows, T* acc, const Add& add) noexcept {
    const size_t group = e.channel < g.group_inputs ? 0 : e.channel / g.group_inputs, first = group * g.group_outputs;
    const auto weights = rows(first) + (e.channel - group * g.group_inputs) * g.plane;
    const ConvTap *x = g.taps_x + g.begin_x[e.x], *x_end = g.taps_x + g.begin_x[e.x + 1];
    const ConvTap *y = g.taps_y + g.begin_y[e.y], *y_end = g.taps_y + g.begin_y[e.y + 1];
    if (x == x_end) return 0;  // the event lies between two strides, or no input reaches an output: no taps at all
    if (x_end - x == 3)
        add_taps<3>(y, y_end, x, x_end, weights, acc + first, add);
    else if (x_end - x == 2)
        add_taps<2>(y, y_end, x, x_end, weights, acc + first, add);
    else
        add_taps<0>(y, y_end, x, x_end, weights, acc + first, add);
    return static_cast<size_t>(y_end - y) * static_cast<size_t>(x_end - x);
}

// `kBlocks` blocks of sixteen outputs, or 0: as many as the group has.
template <size_t kBlocks, typename Rows>
uint64_t sum_blocks(const Conv& g, const ConvEvent* events, size_t count, const Rows& rows, int32_t* acc) noexcept {
    const size_t columns = kBlocks == 0 ? g.group_outputs : kBlocks * kBlock;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<int32_t>(events[i].value);
        const size_t reached = scatter(g, events[i], rows, acc, [value, columns](const auto& row, int32_t* to) {
            add_row(row, value, columns, to);
        });
        sum += static_cast<uint64_t>(value) * reached;
    }
    return sum;
}

template <typename Rows>
inline uint64_t sum_ints(const Conv& g, const ConvEvent* events, size_t count, const Rows& rows, void* out) noexcept {
    auto* acc = static_cast<int32_t*>(out);
    if (g.group_outputs == kBlock) return sum_blocks<1>(g, events, count, rows, acc);
    if (g.group_outputs == 2 * kBlock) return sum_blocks<2>(g, events, count, rows, acc);
    return sum_blocks<0>(g, events, count, rows, acc);
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(conv_i8)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const int8_t*>(g.weights);
    return sum_ints(g, events, count, [weights](size_t first) { return weights + first; }, out);
}

uint64_t EDGESNN_ARM_NAME(conv_i4)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const uint8_t*>(g.weights);
    return sum_ints(g, events, count, [weights](size_t first) { return Nibbles{weights, first}; }, out);
}

uint64_t EDGESNN_ARM_NAME(conv_f32)(const Conv& g, const ConvEvent* events, size_t count, void* out) noexcept {
    const auto* weights = static_cast<const float*>(g.weights);
    auto* acc = static_cast<float*>(out);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const float value = events[i].value;
        const auto rows = [weights](size_t first) { return weights + first; };
        const size_t reached = scatter(g, events[i], rows, acc, [value, &g](const float* row, float* to) {
            add_row(row, value, g.group_outputs, to);
        });
        sum += g.counts ? static_cast<uint64_t>(value) * reached : reached;
    }
    return sum;
}
