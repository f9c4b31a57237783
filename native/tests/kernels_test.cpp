// Every arm of every kernel gives the scalar arm's bits: the list in kernels.hpp feeds the tables, a checker per kernel
// type feeds this test, so no kernel of the list goes untested.
#include "kernels/kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "base/philox.hpp"
#include "kernels/dot_blocks.hpp"
#include "kernels/dot_sums.hpp"
#include "kernels/nibble_table.hpp"
#include "tests/drawn_cases.hpp"

using namespace edgesnn::kernels;

namespace {

int failures = 0;

void expect(bool holds, const char* arm, const char* kernel, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s__%s: %s\n", kernel, arm, what);
    ++failures;
}

template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

using Random = std::mt19937_64;

int below(Random& random, int n) {
    return static_cast<int>(random() % static_cast<uint64_t>(n));
}

std::vector<float> floats(Random& random, size_t n, float spread) {
    std::normal_distribution<float> normal(0.0F, spread);
    std::vector<float> values(n);
    for (float& v : values) v = below(random, 8) == 0 ? static_cast<float>(below(random, 3)) : normal(random);
    return values;
}

size_t padded(int n) {
    return (static_cast<size_t>(n) + 15) / 16 * 16;
}

// Rows of small integers, padding zero: from empty to full, from 1 to 255.
std::vector<uint8_t> counts(Random& random, size_t rows, size_t inputs, size_t stride, bool binary) {
    const int largest = binary ? 1 : below(random, 2) ? 4 : 255;
    const int density = below(random, 5);  // of 4
    std::vector<uint8_t> x(rows * stride, 0);
    for (size_t row = 0; row < rows; ++row)
        for (size_t k = 0; k < inputs; ++k)
            if (below(random, 4) < density)
                x[row * stride + k] = static_cast<uint8_t>(density == 4 ? largest : 1 + below(random, largest));
    return x;
}

bool starts(const char* name, const char* with) {
    return std::strncmp(name, with, std::strlen(with)) == 0;
}

bool ends(const char* name, const char* with) {
    const size_t n = std::strlen(name), m = std::strlen(with);
    return n >= m && std::strcmp(name + n - m, with) == 0;
}

// Weights in the layout of an event kernel, and the same as the int8 matrix that the scalar arm takes (but float32).
struct Weights {
    std::vector<int8_t> plain;
    std::vector<uint8_t> packed;
    std::vector<int16_t> table;
    std::vector<float> real;
    const void* data;
};

Weights event_weights(Random& random, const char* name, size_t inputs, size_t rows, size_t stride) {
    Weights w;
    const bool four_bits = ends(name, "_i4");
    const int lowest = four_bits ? -8 : -127, highest = four_bits ? 7 : 127;
    const int extreme = below(random, 2) ? lowest : highest, spread = below(random, 4);  // all extreme, or every third
    w.plain.resize(rows * stride);
    for (int8_t& v : w.plain)
        v = static_cast<int8_t>(spread == 0 || below(random, 3) == 0 ? extreme
                                                                     : lowest + below(random, highest - lowest + 1));
    w.data = w.plain.data();
    if (starts(name, "nibbles")) w.data = (w.table = nibble_table(w.plain.data(), inputs, stride)).data();
    if (ends(name, "_f32")) w.data = (w.real = floats(random, rows * stride, 1.0F)).data();
    if (!four_bits) return w;
    w.packed.resize(rows * im4_bytes(stride));
    for (size_t k = 0; k < rows; ++k)
        for (size_t n = 0; n < stride; ++n) {
            const int half = (w.plain[k * stride + n] + 8) << (n % 32 < 16 ? 0 : 4);
            w.packed[k * im4_bytes(stride) + n / 32 * 16 + n % 16] |= static_cast<uint8_t>(half);
        }
    w.data = w.packed.data();
    return w;
}

void check(const char* arm, const char* name, LinearEvents* ours, LinearEvents* scalar, Random& random) {
    const bool nibbles = starts(name, "nibbles"), real = ends(name, "_f32"), binary = nibbles || starts(name, "spikes");
    const int most = nibbles ? static_cast<int>(kNibbleInputs) : below(random, 50) ? 600 : 5000;
    const auto inputs = 1 + static_cast<size_t>(below(random, most)), rows = 1 + static_cast<size_t>(below(random, 9));
    const int outputs = 1 + below(random, below(random, 8) ? 200 : 1200);
    const size_t x_stride = padded(static_cast<int>(inputs)), stride = padded(outputs);
    const bool raw = !real && !nibbles && below(random, 3) == 0;  // the bare sums
    const Weights weights = event_weights(random, name, inputs, x_stride, stride);
    const std::vector<float> scale = floats(random, stride, 1.0F), bias = floats(random, stride, 1.0F);
    const Matrix matrix{weights.data, raw ? nullptr : scale.data(), bias.data(), inputs, stride};
    const auto x = counts(random, rows, inputs, x_stride, binary);
    std::vector<uint32_t> active(x_stride);
    std::vector<float> a(rows * stride, -1.0F), b(rows * stride, -2.0F);
    const uint64_t sum_a = ours(matrix, x.data(), x_stride, rows, active.data(), a.data());
    const uint64_t sum_b = scalar(matrix, x.data(), x_stride, rows, active.data(), b.data());
    expect(same(a, b), arm, name, "outputs differ");
    if (!real) {  // the layout is the matrix in another form
        const Matrix plain{weights.plain.data(), matrix.scale, bias.data(), inputs, stride};
        tables()[0]->counts_i8(plain, x.data(), x_stride, rows, active.data(), b.data());
        expect(same(a, b), arm, name, "not the matrix's outputs");
    }
    uint64_t sum = 0;
    for (const uint8_t v : x) sum += v;
    expect(sum_a == sum && sum_b == sum, arm, name, "sums differ");
}

void check(const char* arm, const char* name, LinearDense* ours, LinearDense* scalar, Random& random) {
    const bool large = below(random, 20) == 0;  // enough for what vector arms do otherwise for one row
    const int inputs = (large ? 262 : 1) + below(random, 70), outputs = (large ? 1000 : 1) + below(random, 100);
    const int rows = large ? 1 : 1 + below(random, 5);
    const size_t x_stride = padded(inputs), stride = padded(outputs), height = static_cast<size_t>(rows);
    const auto weights = floats(random, x_stride * stride, 1.0F);
    const auto scale = floats(random, stride, 1.0F), bias = floats(random, stride, 1.0F);
    const auto x = floats(random, height * x_stride, 1.0F);
    const Matrix matrix{weights.data(), below(random, 2) ? scale.data() : nullptr, bias.data(),
                        static_cast<size_t>(inputs), stride};
    std::vector<float> a(height * stride, -1.0F), b(height * stride, -2.0F);
    ours(matrix, x.data(), x_stride, height, a.data());
    scalar(matrix, x.data(), x_stride, height, b.data());
    expect(same(a, b), arm, name, "outputs differ");
}

void check(const char* arm, const char* name, Add* ours, Add* scalar, Random& random) {
    const size_t n = padded(1 + below(random, 300));
    const auto x = counts(random, 1, n, n, true), y = counts(random, 1, n, n, true);
    std::vector<uint8_t> a(n, 1), b(n, 2);
    ours(x.data(), y.data(), n, a.data());
    scalar(x.data(), y.data(), n, b.data());
    expect(same(a, b), arm, name, "sums differ");
}

void check(const char* arm, const char* name, Max* ours, Max* scalar, Random& random) {
    const size_t stride = padded(1 + below(random, 100)), rows = 1 + static_cast<size_t>(below(random, 30));
    const auto x = counts(random, rows, stride, stride, false);
    auto a = counts(random, 1, stride, stride, false);
    auto b = a;
    const bool fresh = below(random, 2) == 0;
    ours(x.data(), rows, stride, fresh, a.data());
    scalar(x.data(), rows, stride, fresh, b.data());
    expect(same(a, b), arm, name, "maxima differ");
}

void check(const char* arm, const char* name, Random16* ours, Random16*, Random& random) {
    const uint64_t key = random(), window = random();
    const auto step = static_cast<uint32_t>(random());
    const size_t begin = random() % 1000, end = begin + 1 + random() % 50;
    std::vector<uint16_t> out((8 * (end - begin) + 63) / 64 * 64);
    ours(key, begin, end, step, window, out.data());
    for (size_t call = begin; call < end; ++call) {
        const auto words = edgesnn::philox4x32(key, {static_cast<uint32_t>(call), step, static_cast<uint32_t>(window),
                                                     static_cast<uint32_t>(window >> 32)});
        for (size_t lane = 0; lane < 8; ++lane) {
            const auto wanted = static_cast<uint16_t>(words[lane / 2] >> (16 * (lane % 2)));
            expect(out[8 * (call - begin) + lane] == wanted, arm, name, "not philox's numbers");
        }
    }
}

#include "dot_kernel_checks.hpp"
#include "graph_kernel_checks.hpp"

}  // namespace

int main() {
    Random random(1);
    const Table& scalar = *tables()[0];
    const unsigned cases = drawn_cases(400);
    int arms = 0;
    for (const Table* const* arm = tables(); *arm != nullptr; ++arm, ++arms)
        for (unsigned i = 0; i < cases; ++i) {
#define EDGESNN_CHECK(name, type) check((*arm)->arm, #name, (*arm)->name, scalar.name, random);
            EDGESNN_KERNELS(EDGESNN_CHECK)
#undef EDGESNN_CHECK
        }
    std::printf("%d arms, %d failures\n", arms, failures);
    return failures == 0 ? 0 : 1;
}
