// Speed of the matrix kernels of the arm in use, beside the time that reading their bytes takes at the read bandwidth
// measured in the same turns. One JSON object a line; bench/kernels.py runs it and records the lines.
//
//     kernels_bench [SECONDS for each case] [PART of the names]
//
// Every result is first compared with the scalar arm's. Spikes differ from call to call, so at least 95 % of the
// matrix is in play, and nothing else: it lies in the caches as far as it fits. ns: one row, the best of many turns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "kernels/dot_sums.hpp"
#include "kernels/kernels.hpp"
#include "read_all.hpp"

using namespace edgesnn::kernels;
using edgesnn::read_all;

namespace {

using Random = std::mt19937_64;
double seconds_per_case = 0.1;
volatile uint64_t sink;

double now_ns() {
    using namespace std::chrono;
    return static_cast<double>(duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

using Work = std::function<void()>;

double time_ns(const Work& work, int calls) {
    const double start = now_ns();
    for (int call = 0; call < calls; ++call) work();
    return (now_ns() - start) / calls;
}

struct Times {
    double work, read;
};

// Best ns of one call of the work and of one read of the weights, in turns so that both see the same load.
Times best_ns(const Work& work, const Work& read) {
    int work_calls = 1, read_calls = 1;
    while (time_ns(work, work_calls) * work_calls < 2e4) work_calls *= 2;
    while (time_ns(read, read_calls) * read_calls < 2e4) read_calls *= 2;
    Times best{1e30, 1e30};
    const double end = now_ns() + seconds_per_case * 1e9;
    for (int turn = 0; turn < 5 || now_ns() < end; ++turn) {
        best.work = std::min(best.work, time_ns(work, work_calls));
        best.read = std::min(best.read, time_ns(read, read_calls));
    }
    return best;
}

// Bytes at a multiple of 64, as the weights of a model file and the outputs of a session are.
class Bytes {
  public:
    explicit Bytes(size_t n) : size_(n), data_(static_cast<char*>(std::aligned_alloc(64, (n + 63) / 64 * 64))) {}
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() { std::free(data_); }
    char* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    size_t size_;
    char* data_;
};

void fill(const Bytes& bytes, Random& random, bool floats) {
    for (size_t i = 0; i < bytes.size(); i += 4) {
        const float value = static_cast<float>(random() % 2001) * 0.001F - 1.0F;
        const int8_t four[4] = {static_cast<int8_t>(random() % 255 - 127), static_cast<int8_t>(random() % 255 - 127),
                                static_cast<int8_t>(random() % 255 - 127), static_cast<int8_t>(random() % 255 - 127)};
        std::memcpy(bytes.data() + i, floats ? static_cast<const void*>(&value) : four, 4);
    }
}

void expect_same(const void* a, const std::vector<float>& b, const char* kernel) {
    if (std::memcmp(a, b.data(), b.size() * sizeof(float)) == 0) return;
    std::fprintf(stderr, "%s: not the scalar arm's outputs\n", kernel);
    std::exit(1);
}

struct Shape {
    size_t outputs;
    size_t inputs;
};

// `share` of the weights is read for `rows` rows.
void print(const char* kernel, Shape shape, const char* what, double value, size_t bytes, double share, Times t,
           size_t rows) {
    const double all = static_cast<double>(bytes);
    std::printf(
        "{\"kernel\": \"%s\", \"outputs\": %zu, \"inputs\": %zu, \"%s\": %g, \"weight_bytes\": %.0f, \"ns\": %.1f, "
        "\"read_gb_s\": %.1f, \"limit_ns\": %.1f}\n",
        kernel, shape.outputs, shape.inputs, what, value, all, t.work / static_cast<double>(rows), all / t.read,
        t.read * share);
    std::fflush(stdout);
}

struct EventKernel {
    const char* name;
    LinearEvents* ours;
    LinearEvents* scalar;
    double bytes;  // of a weight
    int largest;   // input
};

std::vector<uint8_t> events(Random& random, size_t inputs, double activity, int largest) {
    std::uniform_real_distribution<double> uniform;
    std::vector<uint8_t> x(inputs, 0);
    for (uint8_t& v : x)
        if (uniform(random) < activity) v = static_cast<uint8_t>(1 + random() % static_cast<unsigned>(largest));
    return x;
}

void bench_events(const EventKernel& k, Shape shape, double activity, Random& random) {
    const std::vector<float> scale(shape.outputs, 0.5F), bias(shape.outputs, 0.25F);
    std::vector<float> expected(shape.outputs);
    std::vector<uint32_t> active(shape.inputs);
    const Bytes weights(static_cast<size_t>(k.bytes * static_cast<double>(shape.inputs * shape.outputs)));
    const Bytes y(4 * shape.outputs);
    fill(weights, random, k.bytes == 4);
    const Matrix m{weights.data(), scale.data(), bias.data(), shape.inputs, shape.outputs};
    std::vector<std::vector<uint8_t>> x;
    double share = 0;
    const size_t turns = std::max<size_t>(32, static_cast<size_t>(3 / activity));  // 95 % of the rows are some turn's
    for (size_t i = 0; i < turns; ++i) {
        x.push_back(events(random, shape.inputs, activity, k.largest));
        k.ours(m, x[i].data(), shape.inputs, 1, active.data(), y.data());
        k.scalar(m, x[i].data(), shape.inputs, 1, active.data(), expected.data());
        expect_same(y.data(), expected, k.name);
        share += 1.0 - static_cast<double>(std::count(x[i].begin(), x[i].end(), uint8_t{0})) /
                           static_cast<double>(shape.inputs);
    }
    size_t turn = 0;
    const auto work = [&] { k.ours(m, x[turn++ % turns].data(), shape.inputs, 1, active.data(), y.data()); };
    const Times t = best_ns(work, [&] { sink = read_all(weights.data(), weights.size()); });
    print(k.name, shape, "activity", activity, weights.size(), share / static_cast<double>(turns), t, 1);
}

void bench_dot(const char* name, Dot* ours, Dot* scalar, Shape shape, size_t rows, size_t group, Random& random) {
    const size_t blocks = shape.inputs / (group == 0 ? 4 : 8);
    const std::vector<float> scale(shape.outputs, 0.5F), bias(shape.outputs, 0.25F), s_x(rows, 0.01F);
    std::vector<uint8_t> multipliers(group == 0 ? 0 : shape.inputs / group * shape.outputs);
    std::vector<int8_t> q(rows * shape.inputs);
    std::vector<float> y(rows * shape.outputs), expected(rows * shape.outputs);
    const Bytes weights(shape.outputs * blocks * 4);
    fill(weights, random, false);
    for (uint8_t& multiplier : multipliers) multiplier = static_cast<uint8_t>(1 + random() % 255);
    for (int8_t& v : q) v = static_cast<int8_t>(random() % 255 - 127);
    const auto sums = dot_sums(reinterpret_cast<const int8_t*>(weights.data()), blocks, shape.outputs);
    const DotMatrix m{weights.data(), scale.data(),  bias.data(), multipliers.data(), sums.data(), shape.inputs,
                      blocks,         shape.outputs, group,       shape.outputs};
    ours(m, q.data(), shape.inputs, s_x.data(), rows, y.data());
    scalar(m, q.data(), shape.inputs, s_x.data(), rows, expected.data());
    expect_same(y.data(), expected, name);
    const Times t = best_ns([&] { ours(m, q.data(), shape.inputs, s_x.data(), rows, y.data()); },
                            [&] { sink = read_all(weights.data(), weights.size()); });
    print(name, shape, "rows", static_cast<double>(rows), weights.size(), 1.0, t, rows);
}

void bench_lanes(LinearDense* ours, LinearDense* scalar, Shape shape, Random& random) {
    const std::vector<float> scale(shape.outputs, 0.5F), bias(shape.outputs, 0.25F);
    std::vector<float> x(shape.inputs), y(shape.outputs), expected(shape.outputs);
    for (float& v : x) v = static_cast<float>(random() % 2001) * 0.001F - 1.0F;
    const Bytes weights(4 * shape.inputs * shape.outputs);
    fill(weights, random, true);
    const Matrix m{weights.data(), scale.data(), bias.data(), shape.inputs, shape.outputs};
    ours(m, x.data(), shape.inputs, 1, y.data());
    scalar(m, x.data(), shape.inputs, 1, expected.data());
    expect_same(y.data(), expected, "lanes_f32");
    const Times t = best_ns([&] { ours(m, x.data(), shape.inputs, 1, y.data()); },
                            [&] { sink = read_all(weights.data(), weights.size()); });
    print("lanes_f32", shape, "rows", 1, weights.size(), 1.0, t, 1);
}

constexpr Shape kShapes[] = {{256, 256}, {1024, 1024}, {4096, 1024}, {1024, 4096}};
constexpr double kActivities[] = {0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0};
constexpr size_t kRows[] = {1, 4, 16};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) seconds_per_case = std::atof(argv[1]);
    const char* part = argc > 2 ? argv[2] : "";
    const auto chosen = [part](const char* name) { return std::strstr(name, part) != nullptr; };
    Random random(1);
    const Table &t = table(), &scalar = *tables()[0];
    for (const EventKernel& k : {EventKernel{"spikes_i8", t.spikes_i8, scalar.spikes_i8, 1, 1},
                                 EventKernel{"counts_i8", t.counts_i8, scalar.counts_i8, 1, 3},
                                 EventKernel{"spikes_i4", t.spikes_i4, scalar.spikes_i4, 0.5, 1},
                                 EventKernel{"counts_i4", t.counts_i4, scalar.counts_i4, 0.5, 3},
                                 EventKernel{"events_f32", t.events_f32, scalar.events_f32, 4, 1}})
        for (const Shape shape : kShapes)
            for (const double activity : kActivities)
                if (chosen(k.name)) bench_events(k, shape, activity, random);
    for (const Shape shape : kShapes) {
        if (chosen("lanes_f32")) bench_lanes(t.lanes_f32, scalar.lanes_f32, shape, random);
        for (const size_t rows : kRows) {
            if (chosen("dot_i8")) bench_dot("dot_i8", t.dot_i8, scalar.dot_i8, shape, rows, 0, random);
            if (chosen("dot_i4_g32")) bench_dot("dot_i4_g32", t.dot_i4, scalar.dot_i4, shape, rows, 32, random);
            if (chosen("dot_i4_g128")) bench_dot("dot_i4_g128", t.dot_i4, scalar.dot_i4, shape, rows, 128, random);
        }
    }
}
