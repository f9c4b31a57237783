// Small models from plain structs, for the native tests and the fuzz targets: SpikePoint's operators over points; a
// convolution with a recurrent layer and delays of each element; integer neurons; a token model.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "encode/point_window.hpp"
#include "executor/model.hpp"

namespace edgesnn::small_models {

using namespace executor;
using Random = std::mt19937;
using Text = std::string;

constexpr int64_t kPoints = 40, kSteps = 4;

struct Sizes {
    int64_t groups = 12, neighbours = 5;
};

// A graph under construction; the bytes that its tensors point into live as long as the model.
class Graph {
  public:
    Graph() {
        spec_.identity = "test";
        spec_.keepalive = tensors_;
    }

    void points(Sizes sizes) {
        InputSpec& input = spec_.input;
        input.kind = "points", input.points = kPoints, input.groups = sizes.groups, input.neighbours = sizes.neighbours;
        input.steps = kSteps, input.seed = 7;
    }
    void spikes(Shape shape, int64_t bound) {
        spec_.input.kind = "spikes", spec_.input.shape = std::move(shape), spec_.input.value = "int";
        spec_.input.bound = bound;
    }
    void tokens(int64_t vocab) { spec_.input.kind = "tokens", spec_.input.vocab = vocab; }

    NodeSpec& node(const Text& op, const Text& name, std::vector<Text> inputs,
                   std::map<Text, Attribute> attributes = {}) {
        spec_.nodes.push_back({name, op, std::move(inputs), {name}, std::move(attributes), {}});
        return spec_.nodes.back();
    }
    void state(const Text& name, Shape shape, Dtype dtype, double initial = 0) {
        spec_.states.push_back({name, std::move(shape), dtype, initial, "window"});
    }

    // A matrix of int8 (N, K), input-major; `wide` makes bare sums.
    void linear(const Text& name, const Text& input, int64_t inputs, int64_t outputs, bool wide = false) {
        matrix(node("linear", name, {input}), {outputs, inputs}, wide);
    }
    void convolution(const Text& name, const Text& input, Shape shape) {
        NodeSpec& made = node("conv2d", name, {input},
                              {{"stride", Shape{1, 1}},
                               {"padding", Shape{1, 1}},
                               {"dilation", Shape{1, 1}},
                               {"groups", int64_t{1}},
                               {"kernel", Text("event")}});
        matrix(made, std::move(shape), false);
    }
    void lif(const Text& name, const Text& input, const Shape& shape, int64_t axis, int64_t refractory) {
        NodeSpec& made = node("lif", name, {input},
                              {{"axis", axis},
                               {"decay", Text("multiply")},
                               {"current", Text(refractory == 0 ? "none" : "new")},
                               {"compare", Text("ge")},
                               {"spike", Text("binary")},
                               {"cap", int64_t{1}},
                               {"reset", Text("zero")},
                               {"reset_at", Text("same")},
                               {"refractory", refractory},
                               {"v_init", 0.0},
                               {"cold_start", Text("run")}});
        made.tensors["alpha"] = vector(1, 0.5F);
        made.tensors["v_th"] = vector(1, 1.0F);
        state(name + ".v", shape, Dtype::f32);
        if (refractory == 0) return;
        made.tensors["beta"] = vector(1, 0.25F);
        state(name + ".i", shape, Dtype::f32);
        state(name + ".refractory", shape, Dtype::i32);
    }
    void cuba(const Text& name, const Text& input, const Shape& shape, int64_t refractory) {
        node("cuba", name, {input},
             {{"current_decay", int64_t{1024}},
              {"voltage_decay", int64_t{128}},
              {"gain", int64_t{64}},
              {"v_th", int64_t{5000}},
              {"compare", Text("gt")},
              {"refractory", refractory},
              {"cold_start", Text("run")}});
        state(name + ".u", shape, Dtype::i32);
        state(name + ".v", shape, Dtype::i32);
        if (refractory != 0) state(name + ".refractory", shape, Dtype::i32);
    }
    // `delays`: each element's own; none for all `steps`.
    void delay(const Text& name, const Text& input, const Shape& shape, const Text& value, int64_t bound, int64_t steps,
               const std::vector<int32_t>& delays = {}) {
        NodeSpec& made =
            node("delay", name, {input}, {{"steps", steps}, {"shape", shape}, {"value", value}, {"bound", bound}});
        if (!delays.empty()) made.tensors["delays"] = vector(delays);
        Shape line{steps};
        line.insert(line.end(), shape.begin(), shape.end());
        state(name + ".line", line, value == "int" ? Dtype::u8 : value == "int32" ? Dtype::i32 : Dtype::f32);
        state(name + ".position", {}, Dtype::i64);
    }
    void vote(const Text& name, const Text& input, int64_t classes, int64_t voters) {
        node("vote", name, {input}, {{"classes", classes}, {"voters", voters}});
        state(name + ".sum", {classes}, Dtype::i64);
        state(name + ".steps", {}, Dtype::i64);
    }

    template <typename T>
    TensorSpec vector(const std::vector<T>& values) {
        const size_t stored = round_up(values.size(), kLanes);
        const Dtype dtype = std::is_same_v<T, float> ? Dtype::f32 : Dtype::i32;
        auto* data = reinterpret_cast<T*>(block(stored * sizeof(T)));
        std::copy(values.begin(), values.end(), data);
        const auto n = [](size_t size) { return static_cast<int64_t>(size); };
        return {"v", "vector", dtype, data, {n(stored)}, {n(values.size())}};
    }
    TensorSpec vector(int64_t size, float value) {
        return vector(std::vector<float>(static_cast<size_t>(size), value));
    }
    TensorSpec floats(const Text& layout, int64_t rows, int64_t columns) {
        const auto stride = static_cast<int64_t>(round_up(static_cast<size_t>(columns), kLanes));
        auto* data = reinterpret_cast<float*>(block(static_cast<size_t>(rows * stride) * sizeof(float)));
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t i = 0; i < columns; ++i)
                data[row * stride + i] = static_cast<float>(random_() % 2001) / 1000.0F - 1.0F;
        return {"w", layout, Dtype::f32, data, {rows, stride}, {rows, columns}};
    }

    std::shared_ptr<const Model> build(std::vector<Text> outputs, const Text& readout = {}) {
        spec_.outputs = std::move(outputs);
        spec_.readout = readout;
        return Model::build(spec_);
    }

  private:
    struct Tensors {
        std::vector<std::vector<uint64_t>> blocks;
    };

    uint8_t* block(size_t bytes) {
        tensors_->blocks.emplace_back((bytes + 7) / 8);
        return reinterpret_cast<uint8_t*>(tensors_->blocks.back().data());
    }

    void matrix(NodeSpec& made, Shape shape, bool wide) {
        int64_t inputs = 1;
        for (size_t i = 1; i < shape.size(); ++i) inputs *= shape[i];
        const int64_t outputs = shape[0], rows = (inputs + 3) / 4 * 4;
        const auto stride = static_cast<int64_t>(round_up(static_cast<size_t>(outputs), kLanes));
        auto* data = reinterpret_cast<int8_t*>(block(static_cast<size_t>(rows * stride)));
        for (int64_t k = 0; k < inputs; ++k)
            for (int64_t n = 0; n < outputs; ++n)
                data[k * stride + n] = static_cast<int8_t>(static_cast<int>(random_() % 255) - 127);
        made.tensors["weight"] = {"w", "im", Dtype::i8, data, {rows, stride}, std::move(shape)};
        made.attributes["activations"] = Text("int");
        made.attributes["output"] = Text(wide ? "int32" : "float32");
        made.attributes["cold_start"] = Text("run");
        made.attributes["group"] = int64_t{0};
        if (wide) return;
        made.tensors["scale"] = vector(outputs, 0.01F);
        made.tensors["bias"] = vector(outputs, 0.1F);
    }

    std::shared_ptr<Tensors> tensors_ = std::make_shared<Tensors>();
    ModelSpec spec_;
    Random random_{1};
};

inline std::shared_ptr<const Model> spikepoint(Sizes sizes = {}) {
    Graph g;
    g.points(sizes);
    g.node("point_code", "code", {"input"},
           {{"coding", Text("rate")}, {"features", Text("unsigned")}, {"polarity", true}})
        .outputs = {"members", "centres"};
    const auto neurons = [&](const Text& name, const Text& input, int64_t inputs, int64_t outputs, Shape rows) {
        g.linear("fc_" + name, input, inputs, outputs);
        rows.push_back(outputs);
        g.lif(name, "fc_" + name, rows, -1, 0);
    };
    neurons("a", "members", 7, 24, {sizes.groups, sizes.neighbours});
    neurons("b", "a", 24, 24, {sizes.groups, sizes.neighbours});
    g.node("add", "sum", {"a", "b"});
    g.node("max", "pool", {"sum"}, {{"axis", int64_t{-2}}});
    neurons("c", "pool", 24, 100, {sizes.groups});
    g.node("max", "top", {"c"}, {{"axis", int64_t{-2}}});
    neurons("d", "top", 100, 6, {});
    g.vote("vote", "d", 3, 2);
    return g.build({"vote"}, "vote");
}

// Images through a convolution and a pool into neurons that see their own spikes of one to three steps before.
inline std::shared_ptr<const Model> recurrent(int64_t height = 9, int64_t width = 11) {
    const int64_t places = (height + 2) / 3 * ((width + 2) / 3);
    Graph g;
    g.spikes({2, height, width}, 1);
    g.convolution("conv", "input", {6, 2, 3, 3});
    g.lif("first", "conv", {6, height, width}, -3, 3);
    g.node("pool2d", "pool", {"first"},
           {{"mode", Text("sum")}, {"kernel", Shape{3, 3}}, {"stride", Shape{3, 3}}, {"padding", Shape{1, 1}}});
    g.node("reshape", "flat", {"pool"}, {{"shape", Shape{6 * places}}});
    g.linear("forward", "flat", 6 * places, 20);
    std::vector<int32_t> delays;
    for (int32_t i = 0; i < 20; ++i) delays.push_back(1 + i % 3);
    g.delay("before", "second", {20}, "int", 1, 3, delays);
    g.linear("back", "before", 20, 20);
    g.node("add", "current", {"forward", "back"});
    g.lif("second", "current", {20}, -1, 2);
    g.vote("vote", "second", 4, 5);
    return g.build({"vote", "second"}, "vote");
}

// Counts through integer neurons, and a cycle of bare sums.
inline std::shared_ptr<const Model> integers() {
    Graph g;
    g.spikes({40}, 5);
    g.linear("in", "input", 40, 24, true);
    g.cuba("hidden", "in", {24}, 2);
    g.linear("out", "hidden", 24, 33, true);
    g.delay("later", "out", {33}, "int32", 127 * 24, 4);
    g.cuba("last", "later", {33}, 0);
    g.node("count", "total", {"last"});
    g.state("total.total", {33}, Dtype::i64);
    return g.build({"total", "last"});
}

inline std::shared_ptr<const Model> tokens() {
    constexpr int64_t kWide = 24;
    Graph g;
    g.tokens(30);
    g.node("embedding", "table", {"input"}).tensors["weight"] = g.floats("rows", 30, kWide);
    NodeSpec& norm = g.node("layer_norm", "norm", {"table"}, {{"eps", 1e-5}});
    norm.tensors["weight"] = g.vector(kWide, 1.0F), norm.tensors["bias"] = g.vector(kWide, 0.1F);
    g.delay("previous", "norm", {kWide}, "float32", 0, 1);
    NodeSpec& shift = g.node("token_shift", "shift", {"norm", "previous"});
    shift.tensors["mix"] = g.vector(kWide, 0.75F), shift.tensors["keep"] = g.vector(kWide, 0.25F);
    NodeSpec& mixed = g.node("wkv", "mixed", {"shift", "norm"});
    mixed.tensors["bonus"] = g.vector(kWide, 0.5F), mixed.tensors["decay"] = g.vector(kWide, -0.5F);
    g.state("mixed.aa", {kWide}, Dtype::f32);
    g.state("mixed.bb", {kWide}, Dtype::f32);
    g.state("mixed.pp", {kWide}, Dtype::f32, -1e38);
    g.node("accumulate", "mean", {"mixed"}, {{"mode", Text("mean")}, {"axis", int64_t{-1}}});
    g.state("mean.sum", {kWide}, Dtype::f32);
    g.state("mean.steps", {}, Dtype::i64);
    return g.build({"mean", "mixed"});
}

// The same model with these reset policies, one after the other.
inline std::shared_ptr<const Model> with_resets(const Model& model, const std::vector<Text>& resets) {
    ModelSpec spec = model.spec();
    for (size_t i = 0; i < spec.states.size(); ++i) spec.states[i].reset = resets[i % resets.size()];
    return Model::build(std::move(spec));
}

// A window that the SpikePoint takes.
inline encode::PointWindow window(int64_t number, Sizes sizes = {}) {
    Random random(static_cast<unsigned>(number));
    encode::PointWindow w;
    w.number = number, w.points = kPoints, w.groups = sizes.groups, w.neighbours = sizes.neighbours, w.sd = 2000.0;
    for (int64_t i = 0; i < kPoints * 4; ++i)
        w.coordinates.push_back(static_cast<int32_t>(i % 4 == 3 ? random() % 2 : random() % 16384));
    for (int64_t i = 0; i < sizes.groups; ++i) w.centroids.push_back(static_cast<int32_t>(random() % kPoints));
    for (int64_t i = 0; i < sizes.groups * sizes.neighbours; ++i)
        w.members.push_back(static_cast<int32_t>(random() % kPoints));
    return w;
}

}  // namespace edgesnn::small_models
