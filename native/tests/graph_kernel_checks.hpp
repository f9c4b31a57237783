// Checkers of the kernels that work on whole values: elementwise, rows, neurons, convolutions. Included by
// kernels_test.cpp after its helpers, inside its anonymous namespace.
#pragma once

void check(const char* arm, const char* name, Binary* ours, Binary* scalar, Random& random) {
    const size_t n = padded(1 + below(random, 300));
    const std::vector<float> a = floats(random, n, 2.0F), b = floats(random, n, 2.0F);
    std::vector<float> x(n), y(n);
    ours(a.data(), b.data(), n, x.data());
    scalar(a.data(), b.data(), n, y.data());
    expect(same(x, y), arm, name, "results differ");
}

void check(const char* arm, const char* name, ScaleFloats* ours, ScaleFloats* scalar, Random& random) {
    const size_t rows = 1 + random() % 4, n = padded(1 + below(random, 300));
    const std::vector<float> v = floats(random, rows * n, 2.0F), scale = floats(random, n, 2.0F),
                             bias = floats(random, n, 1.0F);
    std::vector<float> x(rows * n), y(rows * n);
    ours(v.data(), scale.data(), bias.data(), rows, n, x.data());
    scalar(v.data(), scale.data(), bias.data(), rows, n, y.data());
    expect(same(x, y), arm, name, "results differ");
}

void check(const char* arm, const char* name, ScaleInts* ours, ScaleInts* scalar, Random& random) {
    const size_t rows = 1 + random() % 4, n = padded(1 + below(random, 300));
    const std::vector<float> scale = floats(random, n, 2.0F), bias = floats(random, n, 1.0F);
    std::vector<int32_t> v(rows * n);
    for (int32_t& i : v) i = static_cast<int32_t>(random());
    std::vector<float> x(rows * n), y(rows * n);
    ours(v.data(), scale.data(), bias.data(), rows, n, x.data());
    scalar(v.data(), scale.data(), bias.data(), rows, n, y.data());
    expect(same(x, y), arm, name, "results differ");
}

void check(const char* arm, const char* name, Shift* ours, Shift* scalar, Random& random) {
    const size_t n = padded(1 + below(random, 300));
    const std::vector<float> a = floats(random, n, 2.0F), b = floats(random, n, 2.0F), m = floats(random, n, 1.0F),
                             k = floats(random, n, 1.0F);
    std::vector<float> x(n), y(n);
    ours(a.data(), b.data(), m.data(), k.data(), n, x.data());
    scalar(a.data(), b.data(), m.data(), k.data(), n, y.data());
    expect(same(x, y), arm, name, "results differ");
}

void check(const char* arm, const char* name, Rows* ours, Rows* scalar, Random& random) {
    const int columns = 1 + below(random, 200);
    const size_t stride = padded(columns), rows = 1 + random() % 3;
    std::vector<float> v = floats(random, rows * stride, below(random, 2) ? 2.0F : 60.0F);
    if (below(random, 4) == 0) v[0] = -std::numeric_limits<float>::infinity();
    std::vector<float> x(rows * stride, 7.0F), y(rows * stride, 9.0F);
    ours(v.data(), rows, static_cast<size_t>(columns), x.data());
    scalar(v.data(), rows, static_cast<size_t>(columns), y.data());
    expect(same(x, y), arm, name, "rows differ");
    for (size_t i = static_cast<size_t>(columns); i < stride; ++i)
        expect(x[i] == 0.0F, arm, name, "padding is not zero");
}

void check(const char* arm, const char* name, LayerNorm* ours, LayerNorm* scalar, Random& random) {
    const int columns = 1 + below(random, 200);
    const size_t stride = padded(columns), rows = 1 + random() % 3;
    const std::vector<float> v = floats(random, rows * stride, 2.0F), w = floats(random, stride, 1.0F),
                             b = floats(random, stride, 1.0F);
    std::vector<float> x(rows * stride), y(rows * stride);
    ours(v.data(), w.data(), b.data(), 1e-5F, rows, static_cast<size_t>(columns), x.data());
    scalar(v.data(), w.data(), b.data(), 1e-5F, rows, static_cast<size_t>(columns), y.data());
    expect(same(x, y), arm, name, "rows differ");
}

void check(const char* arm, const char* name, Wkv* ours, Wkv* scalar, Random& random) {
    const size_t n = padded(1 + below(random, 100));
    const std::vector<float> u = floats(random, n, 1.0F), w = floats(random, n, 1.0F);
    std::vector<float> a1(n), b1(n), p1(n, -1e38F), a2(n), b2(n), p2(n, -1e38F), x(n), y(n);
    for (int step = 0; step < 4; ++step) {
        const std::vector<float> k = floats(random, n, 3.0F), v = floats(random, n, 3.0F);
        ours(k.data(), v.data(), u.data(), w.data(), n, a1.data(), b1.data(), p1.data(), x.data());
        scalar(k.data(), v.data(), u.data(), w.data(), n, a2.data(), b2.data(), p2.data(), y.data());
    }
    expect(same(x, y) && same(a1, a2) && same(b1, b2) && same(p1, p2), arm, name, "states or outputs differ");
}

// Flags that go together, or only those of usual neurons.
Neurons random_flags(Random& random, bool usual) {
    Neurons n;
    n.ge = below(random, 2) != 0;
    n.reset = static_cast<Neurons::Reset>(below(random, 4));
    if (usual) {
        if (n.reset == Neurons::Reset::value) n.reset = Neurons::Reset::none;
        return n;
    }
    n.euler = below(random, 2) != 0;
    n.current = static_cast<Neurons::Current>(below(random, 5));
    n.spike = static_cast<Neurons::Spike>(below(random, 5));
    const bool binary = n.spike == Neurons::Spike::binary;
    n.at = binary ? static_cast<Neurons::At>(below(random, 4)) : Neurons::At::same;
    n.cap = binary ? 1 : 1 + below(random, 255);
    n.refractory = below(random, 2) ? below(random, 4) : 0;
    return n;
}

// Sums or currents of neurons: float or int32.
std::vector<float> sums(Random& random, size_t n, float) {
    return floats(random, n, 2.0F);
}
std::vector<int32_t> sums(Random& random, size_t n, int32_t) {
    std::vector<int32_t> values(n);
    for (int32_t& v : values) v = below(random, 101) - 50;
    return values;
}

// Usual neurons by their equations.
template <typename X>
uint64_t one_by_one(const Neurons& n, const std::vector<X>& x, const float* scale, const float* bias, size_t stride,
                    std::vector<float>& v, std::vector<uint8_t>& s) {
    uint64_t spikes = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        const size_t column = i % stride;
        const float whole = static_cast<float>(x[i]);
        const float c = scale == nullptr ? whole : whole * scale[column] + bias[column];
        const float u = v[i] * n.alpha[column] + c;
        const bool fired = n.ge ? u >= n.v_th[column] : u > n.v_th[column];
        v[i] = !fired || n.reset == Neurons::Reset::none ? u
               : n.reset == Neurons::Reset::zero         ? 0.0F
                                                         : u - n.v_th[column];
        s[i] = fired ? 1 : 0;
        spikes += s[i];
    }
    return spikes;
}

// Neurons with random flags over a few rows and steps, thresholds often met exactly, some never reached.
template <typename X>
void check_neurons(const char* arm, const char* name,
                   uint64_t (*ours)(const Neurons&, const NeuronStates&, const X*, const float*, const float*, size_t,
                                    size_t, void*),
                   decltype(ours) scalar, Random& random) {
    const size_t stride = padded(1 + below(random, 100)), rows = 1 + random() % 50, n = rows * stride;
    Neurons flags = random_flags(random, below(random, 2) != 0);
    const bool general = !flags.usual(), scaled = std::is_same_v<X, int32_t> || below(random, 2) != 0;
    const std::vector<float> alpha = floats(random, stride, 1.0F), beta = floats(random, stride, 1.0F),
                             gain = floats(random, stride, 1.0F), leak = floats(random, stride, 1.0F),
                             low = floats(random, stride, 1.0F), scale = floats(random, stride, 0.1F);
    std::vector<float> v_th(stride);
    for (float& v : v_th) v = static_cast<float>(1 + below(random, 3));
    v_th.back() = std::numeric_limits<float>::infinity();
    flags.alpha = alpha.data(), flags.v_th = v_th.data(), flags.beta = beta.data(), flags.v_reset = low.data();
    if (general && below(random, 2)) flags.gain = gain.data();
    if (general && below(random, 2)) flags.leak = leak.data();
    if (general && below(random, 2)) flags.v_min = low.data();
    std::vector<float> v1(n), i1(n), v2(n), i2(n);
    std::vector<int32_t> h1(n), h2(n);
    std::vector<uint8_t> s1(4 * n, 7), s2(4 * n, 7);
    std::vector<float> v3(n);
    std::vector<uint8_t> s3(4 * n, 7);
    uint64_t spikes1 = 0, spikes2 = 0, spikes3 = 0;
    for (int step = 0; step < 4; ++step) {
        const std::vector<X> x = sums(random, n, X{});
        const float* factor = scaled ? scale.data() : nullptr;
        spikes1 +=
            ours(flags, {v1.data(), i1.data(), h1.data()}, x.data(), factor, leak.data(), rows, stride, s1.data());
        spikes2 +=
            scalar(flags, {v2.data(), i2.data(), h2.data()}, x.data(), factor, leak.data(), rows, stride, s2.data());
        if (!general) spikes3 += one_by_one(flags, x, factor, leak.data(), stride, v3, s3);
    }
    expect(same(v1, v2) && same(i1, i2) && same(h1, h2), arm, name, "states differ");
    expect(same(s1, s2) && spikes1 == spikes2, arm, name, "spikes differ");
    if (!general) expect(same(v1, v3) && same(s1, s3) && spikes1 == spikes3, arm, name, "not the equations' neurons");
}

void check(const char* arm, const char* name, NeuronsOfFloats* ours, NeuronsOfFloats* scalar, Random& random) {
    check_neurons<float>(arm, name, ours, scalar, random);
}

void check(const char* arm, const char* name, NeuronsOfInts* ours, NeuronsOfInts* scalar, Random& random) {
    check_neurons<int32_t>(arm, name, ours, scalar, random);
}

void check(const char* arm, const char* name, UpdateCuba* ours, UpdateCuba* scalar, Random& random) {
    const size_t n = padded(1 + below(random, 100));
    const bool wide = below(random, 2) != 0;
    const Cuba cuba{below(random, 4097), below(random, 4097), below(random, 2000) - 1000, 1 + below(random, 100000),
                    wide};
    std::vector<int32_t> u1(n), v1(n), x(n);
    for (int32_t& v : v1) v = static_cast<int32_t>(random());
    std::vector<int32_t> u2 = u1, v2 = v1;
    std::vector<uint8_t> bytes(n), s1(n), s2(n);
    for (int step = 0; step < 4; ++step) {
        for (int32_t& i : x) i = below(random, 200001) - 100000;
        for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
        const void* input = wide ? static_cast<const void*>(x.data()) : bytes.data();
        ours(cuba, input, n, u1.data(), v1.data(), s1.data());
        scalar(cuba, input, n, u2.data(), v2.data(), s2.data());
    }
    expect(same(u1, u2) && same(v1, v2) && same(s1, s2), arm, name, "states or spikes differ");
}

void check(const char* arm, const char* name, FindActive* ours, FindActive*, Random& random) {
    const size_t n = padded(1 + below(random, below(random, 8) ? 300 : 10000));
    const int sparsity = 1 << below(random, 8);
    std::vector<uint8_t> x(n);
    std::vector<uint32_t> index(n + 1, 7), wanted;
    for (size_t i = 0; i < n; ++i) {
        x[i] = below(random, sparsity) == 0 ? static_cast<uint8_t>(1 + below(random, 255)) : 0;
        if (x[i] != 0) wanted.push_back(static_cast<uint32_t>(i));
    }
    const size_t found = ours(x.data(), n, index.data());
    expect(index[n] == 7, arm, name, "more is written than the list holds");
    index.resize(found);
    expect(index == wanted, arm, name, "indices differ");
}

// A convolution of stride 1 without padding over a few groups.
void check(const char* arm, const char* name, ConvEvents* ours, ConvEvents* scalar, Random& random) {
    const int groups = 1 + below(random, 3), group_inputs = 1 + below(random, 3), group_outputs = 1 + below(random, 40);
    const int kernel = 1 + below(random, 3), size = kernel + below(random, 6), places = size - kernel + 1;
    const size_t stride = padded(groups * group_outputs), weight_stride = (stride + 31) / 32 * 32;
    const auto taps_of = [&](size_t weight, size_t output) {
        std::pair<std::vector<ConvTap>, std::vector<uint32_t>> made;
        for (int y = 0; y < size; ++y) {
            made.second.push_back(static_cast<uint32_t>(made.first.size()));
            for (int k = 0; k < kernel; ++k)
                if (y - k >= 0 && y - k < places)
                    made.first.push_back({static_cast<uint32_t>(static_cast<size_t>(k) * weight),
                                          static_cast<uint32_t>(static_cast<size_t>(y - k) * output)});
        }
        made.second.push_back(static_cast<uint32_t>(made.first.size()));
        return made;
    };
    const auto x_taps = taps_of(weight_stride, stride);
    const auto y_taps = taps_of(static_cast<size_t>(kernel) * weight_stride, static_cast<size_t>(places) * stride);
    std::vector<uint8_t> weights(static_cast<size_t>(group_inputs * kernel * kernel) * weight_stride * sizeof(float));
    const std::vector<float> real = floats(random, weights.size() / sizeof(float), 1.0F);
    const bool floating = std::strcmp(name, "conv_f32") == 0;
    if (floating) std::memcpy(weights.data(), real.data(), weights.size());
    if (!floating)
        for (uint8_t& w : weights) w = static_cast<uint8_t>(random());
    const auto u = [](int i) { return static_cast<size_t>(i); };
    const Conv conv{weights.data(),
                    u(kernel * kernel) * weight_stride,
                    u(group_inputs),
                    u(group_outputs),
                    y_taps.first.data(),
                    x_taps.first.data(),
                    y_taps.second.data(),
                    x_taps.second.data(),
                    true};
    std::vector<ConvEvent> events;
    for (int i = below(random, 30); i > 0; --i)
        events.push_back({static_cast<uint32_t>(below(random, groups * group_inputs)),
                          static_cast<uint32_t>(below(random, size)), static_cast<uint32_t>(below(random, size)),
                          static_cast<float>(1 + below(random, 255))});
    std::vector<int32_t> a(u(places * places) * stride), b = a;
    const uint64_t x = ours(conv, events.data(), events.size(), a.data());
    const uint64_t y = scalar(conv, events.data(), events.size(), b.data());
    expect(same(a, b) && x == y, arm, name, "sums differ");
}

// A matrix with its usual neurons, and the same by its bare sums and the equations.
struct Fused {
    Fused(Random& random, size_t inputs_, size_t stride_, size_t rows_)
        : inputs(inputs_),
          stride(stride_),
          rows(rows_),
          weights(inputs * stride),
          scale(floats(random, stride, 0.02F)),
          bias(floats(random, stride, 0.5F)),
          alpha(floats(random, stride, 0.5F)),
          v_th(stride, 1.0F),
          v(rows * stride),
          other_v(rows * stride),
          s(rows * stride),
          other_s(rows * stride),
          neurons(random_flags(random, true)) {
        for (int8_t& w : weights) w = static_cast<int8_t>(below(random, 255) - 127);
        neurons.alpha = alpha.data(), neurons.v_th = v_th.data();
    }
    Matrix matrix(const void* data) const { return {data, scale.data(), bias.data(), inputs, stride}; }

    // Whether the step of the same input gives the same sum, spikes and membranes.
    bool agrees(const std::vector<uint8_t>& x, size_t x_stride, uint64_t sum, uint64_t spikes) {
        std::vector<int32_t> sums(rows * stride);
        std::vector<uint32_t> active(x_stride);
        const Matrix bare{weights.data(), nullptr, nullptr, inputs, stride};
        const uint64_t all = tables()[0]->counts_i8(bare, x.data(), x_stride, rows, active.data(), sums.data());
        const uint64_t fired = one_by_one(neurons, sums, scale.data(), bias.data(), stride, other_v, other_s);
        return all == sum && fired == spikes && same(s, other_s) && same(v, other_v);
    }

    size_t inputs, stride, rows;
    std::vector<int8_t> weights;
    std::vector<float> scale, bias, alpha, v_th, v, other_v;
    std::vector<uint8_t> s, other_s;
    Neurons neurons;
};

void check(const char* arm, const char* name, BitNeurons* ours, BitNeurons*, Random& random) {
    const int inputs = 1 + below(random, static_cast<int>(kNibbleInputs));
    const size_t stride = padded(1 + below(random, static_cast<int>(kBitColumns))), x_stride = padded(inputs);
    Fused fused(random, static_cast<size_t>(inputs), stride, 1 + random() % 70);
    const std::vector<int16_t> table = nibble_table(fused.weights.data(), fused.inputs, stride);
    std::vector<uint64_t> x_bits(fused.rows), s_bits(fused.rows);
    for (int step = 0; step < 3; ++step) {
        const std::vector<uint8_t> x = counts(random, fused.rows, fused.inputs, x_stride, true);
        tables()[0]->pack_bits(x.data(), fused.rows, x_stride, x_bits.data());
        uint64_t spikes = 0;
        const uint64_t sum = ours(fused.matrix(table.data()), fused.neurons, fused.v.data(), x_bits.data(), fused.rows,
                                  s_bits.data(), &spikes);
        tables()[0]->unpack_bits(s_bits.data(), fused.rows, stride, fused.s.data());
        expect(fused.agrees(x, x_stride, sum, spikes), arm, name, "sums, spikes or membranes differ");
    }
}

void check(const char* arm, const char* name, CountNeurons* ours, CountNeurons*, Random& random) {
    const int inputs = 1 + below(random, 150);
    const size_t stride = padded(1 + below(random, below(random, 8) ? 200 : 2048)), x_stride = padded(inputs);
    Fused fused(random, static_cast<size_t>(inputs), stride, 1 + random() % 11);
    const std::vector<int8_t> blocks = dot_blocks(fused.weights.data(), fused.inputs, stride);
    Matrix matrix = fused.matrix(fused.weights.data());
    if (below(random, 3) != 0) matrix.blocks = blocks.data();
    std::vector<uint32_t> active(x_stride);
    for (int step = 0; step < 3; ++step) {
        std::vector<uint8_t> x = counts(random, fused.rows, fused.inputs, x_stride, below(random, 2) == 0);
        for (uint8_t& value : x) value = std::min<uint8_t>(value, 127);
        uint64_t spikes = 0;
        const uint64_t sum = ours(matrix, fused.neurons, fused.v.data(), x.data(), x_stride, fused.rows, active.data(),
                                  fused.s.data(), &spikes);
        expect(fused.agrees(x, x_stride, sum, spikes), arm, name, "sums, spikes or membranes differ");
    }
}

std::vector<uint64_t> bits_of(const std::vector<uint8_t>& x, size_t stride) {
    std::vector<uint64_t> bits(x.size() / stride);
    for (size_t i = 0; i < x.size(); ++i) bits[i / stride] |= uint64_t{x[i]} << (i % stride);
    return bits;
}

void check(const char* arm, const char* name, PackBits* ours, PackBits*, Random& random) {
    const size_t stride = padded(1 + below(random, static_cast<int>(kBitColumns))), rows = 1 + random() % 10;
    const std::vector<uint8_t> x = counts(random, rows, stride, stride, true);
    std::vector<uint64_t> bits(rows);
    ours(x.data(), rows, stride, bits.data());
    expect(bits == bits_of(x, stride), arm, name, "bits differ");
}

void check(const char* arm, const char* name, UnpackBits* ours, UnpackBits*, Random& random) {
    const size_t stride = padded(1 + below(random, static_cast<int>(kBitColumns))), rows = 1 + random() % 10;
    const std::vector<uint8_t> x = counts(random, rows, stride, stride, true);
    std::vector<uint8_t> y(rows * stride + 1, 7);  // and one byte that is not written
    ours(bits_of(x, stride).data(), rows, stride, y.data());
    expect(y.back() == 7, arm, name, "writes beyond its rows");
    y.pop_back();
    expect(x == y, arm, name, "bytes differ");
}

void check(const char* arm, const char* name, MaxBits* ours, MaxBits*, Random& random) {
    const size_t stride = padded(1 + below(random, static_cast<int>(kBitColumns))), rows = 1 + random() % 30;
    const auto a = counts(random, rows, stride, stride, true), b = counts(random, rows, stride, stride, true);
    std::vector<uint8_t> wanted(stride), y(stride, 7);
    for (size_t i = 0; i < a.size(); ++i)
        wanted[i % stride] = std::max(wanted[i % stride], static_cast<uint8_t>(a[i] + b[i]));
    ours(bits_of(a, stride).data(), bits_of(b, stride).data(), rows, stride, y.data());
    expect(y == wanted, arm, name, "maxima differ");
}

void check(const char* arm, const char* name, LessBits* ours, LessBits*, Random& random) {
    const size_t n = 64 * (1 + random() % 5);
    std::vector<uint16_t> a(n), b(n);
    std::vector<uint64_t> bits(n / 64), wanted(n / 64);
    for (size_t i = 0; i < n; ++i) {
        a[i] = static_cast<uint16_t>(random()), b[i] = static_cast<uint16_t>(random());
        if (below(random, 4) == 0) b[i] = static_cast<uint16_t>(a[i] + below(random, 3) - 1);
        wanted[i / 64] |= uint64_t{a[i] < b[i]} << (i % 64);
    }
    ours(a.data(), b.data(), n, bits.data());
    expect(bits == wanted, arm, name, "bits differ");
}
