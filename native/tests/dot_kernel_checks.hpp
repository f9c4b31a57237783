// Checks of the kernels of graded input: included by kernels_test.cpp, inside its namespace.

// Rows of floats with ties, zeros, huge, tiny and silent rows; the plain double computation is the oracle.
void check(const char* arm, const char* name, Quantize* ours, Quantize* scalar, Random& random) {
    const size_t stride = padded(1 + below(random, 300)), rows = 1 + static_cast<size_t>(below(random, 4));
    std::vector<float> x = floats(random, rows * stride, below(random, 2) ? 1.0F : 1e-29F);
    if (below(random, 3) == 0)  // halves: 127 / 127 = 1 is the factor, so that every second value is a tie
        for (float& v : x) v = static_cast<float>(below(random, 255) - 127) / 2.0F;
    if (below(random, 3) == 0) x[0] = below(random, 2) ? 127.0F : -3e38F;
    if (below(random, 5) == 0) x[0] = below(random, 2) ? NAN : INFINITY;
    if (below(random, 5) == 0) std::fill(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(stride), 9e-31F);
    std::vector<int8_t> a(x.size(), 1), b(x.size(), 2);
    std::vector<float> s_a(rows, -1.0F), s_b(rows, -2.0F);
    ours(x.data(), stride, rows, a.data(), s_a.data());
    scalar(x.data(), stride, rows, b.data(), s_b.data());
    expect(same(a, b) && same(s_a, s_b), arm, name, "differs");
    for (size_t row = 0; row < rows; ++row) {
        float largest = 0.0F;
        for (size_t i = 0; i < stride; ++i) largest = std::max(largest, std::fabs(x[row * stride + i]));
        largest = std::min(largest, std::numeric_limits<float>::max());  // an infinity counts as the largest number
        const bool silent = largest < 1e-30F;
        expect(s_a[row] == (silent ? 0.0F : largest / 127.0F), arm, name, "not the scale");
        for (size_t i = 0; i < stride; ++i) {
            const float scaled = silent ? 0.0F : x[row * stride + i] * (127.0F / largest);
            const float near = std::isnan(scaled) ? -127.0F : std::nearbyint(scaled);
            const float wanted = std::min(127.0F, std::max(-127.0F, near));
            expect(static_cast<float>(a[row * stride + i]) == wanted, arm, name, "not the nearest");
        }
    }
}

struct Dots {
    size_t inputs, stride, rows, group, blocks, q_stride;
    std::vector<int8_t> plain, q;  // plain: [stride][inputs]
    std::vector<uint8_t> stored, multipliers;
};

// Every value, or only the ends of its range.
int8_t one_of(Random& random, int lowest, int highest, bool ends_only) {
    if (ends_only) return static_cast<int8_t>(below(random, 8) ? lowest : highest);
    return static_cast<int8_t>(lowest + below(random, highest - lowest + 1));
}

Dots dots(Random& random, bool four_bits) {
    Dots d;
    d.inputs = 1 + static_cast<size_t>(below(random, below(random, 20) ? 300 : four_bits ? 8192 : 20000));
    d.stride = padded(1 + below(random, 150));
    d.rows = 1 + static_cast<size_t>(below(random, 9));
    d.group = four_bits ? size_t{32} << below(random, 3) : 16;
    const size_t groups = (d.inputs + d.group - 1) / d.group, step = four_bits ? 8 : 4;
    d.blocks = groups * d.group / step;
    d.q_stride = padded(static_cast<int>(d.inputs)) + 16 * static_cast<size_t>(below(random, 2));
    d.plain.resize(d.stride * d.inputs);
    d.q.assign(d.rows * d.q_stride, 0);
    const bool extreme_w = below(random, 3) == 0, extreme_q = below(random, 3) == 0;
    for (int8_t& w : d.plain) w = one_of(random, four_bits ? -8 : -127, four_bits ? 7 : 127, extreme_w);
    for (size_t i = 0; i < d.rows * d.inputs; ++i)
        d.q[i / d.inputs * d.q_stride + i % d.inputs] = one_of(random, -127, 127, extreme_q);
    d.stored.assign(d.stride * d.blocks * 4, four_bits ? 0x88 : 0);
    for (size_t n = 0; n < d.stride; ++n)
        for (size_t k = 0; k < d.inputs; ++k) {
            uint8_t& byte = d.stored[((n / 16 * d.blocks + k / step) * 16 + n % 16) * 4 + k % 4];
            const int w = d.plain[n * d.inputs + k];
            if (!four_bits) byte = static_cast<uint8_t>(w);
            if (four_bits)
                byte = static_cast<uint8_t>(k % 8 < 4 ? (byte & 0xF0) | (w + 8) : (byte & 0x0F) | (w + 8) << 4);
        }
    d.multipliers.assign(four_bits ? groups * d.stride : 0, 255);
    if (!extreme_w)
        for (uint8_t& m : d.multipliers) m = static_cast<uint8_t>(1 + below(random, 255));
    return d;
}

void check(const char* arm, const char* name, Dot* ours, Dot* scalar, Random& random) {
    const bool four_bits = ends(name, "_i4");
    const Dots d = dots(random, four_bits);
    const auto scale = floats(random, d.stride, 1.0F), bias = floats(random, d.stride, 1.0F);
    const auto s_x = floats(random, d.rows, 1.0F);
    std::vector<int32_t> sums;
    if (!four_bits) sums = dot_sums(reinterpret_cast<const int8_t*>(d.stored.data()), d.blocks, d.stride);
    const DotMatrix matrix{d.stored.data(), scale.data(), bias.data(), d.multipliers.data(),
                           sums.data(),     d.inputs,     d.blocks,    d.stride,
                           d.group,         d.stride};
    std::vector<float> a(d.rows * d.stride, -1.0F), b(d.rows * d.stride, -2.0F);
    ours(matrix, d.q.data(), d.q_stride, s_x.data(), d.rows, a.data());
    if (ours != scalar) {
        scalar(matrix, d.q.data(), d.q_stride, s_x.data(), d.rows, b.data());
        return expect(same(a, b), arm, name, "outputs differ");
    }
    for (size_t row = 0; row < d.rows; ++row)
        for (size_t n = 0; n < d.stride; ++n) {
            int64_t acc = 0;
            for (size_t k = 0; k < d.inputs; ++k) {
                const int64_t m = four_bits ? d.multipliers[k / d.group * d.stride + n] : 1;
                acc += m * d.plain[n * d.inputs + k] * d.q[row * d.q_stride + k];
            }
            b[row * d.stride + n] = ((static_cast<float>(acc) * scale[n]) * s_x[row]) + bias[n];
        }
    expect(same(a, b), arm, name, "not the plain matrix's outputs");
}
