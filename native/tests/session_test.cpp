// A small SpikePoint, built from plain structs: step and run allocate nothing, run is so many steps, save and load go
// round, a refused load changes nothing, and the pipeline's door gives the session's scores.
#include "executor/session.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

#include "executor/window_model.hpp"

namespace {

int64_t allocations = 0;
int failures = 0;

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    ++failures;
}

}  // namespace

void* operator new(size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace {

using namespace edgesnn;
using namespace edgesnn::executor;
using Random = std::mt19937;

constexpr int64_t kGroups = 12, kNeighbours = 5, kPoints = 40, kSteps = 4;

// Keeps the bytes that a model's tensors point into.
struct Tensors {
    std::vector<std::vector<int8_t>> bytes;
    std::vector<std::vector<float>> floats;
    Random random{1};

    TensorSpec weight(int64_t outputs, int64_t inputs) {
        const auto stride = static_cast<int64_t>(round_up(static_cast<size_t>(outputs), kLanes));
        const int64_t rows = (inputs + 3) / 4 * 4;
        bytes.emplace_back(static_cast<size_t>(rows * stride));
        for (int8_t& w : bytes.back()) w = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
        return {"w", "im", Dtype::i8, bytes.back().data(), {rows, stride}, {outputs, inputs}};
    }
    TensorSpec vector(int64_t n, float value) {
        const auto stored = static_cast<int64_t>(round_up(static_cast<size_t>(n), kLanes));
        floats.emplace_back(static_cast<size_t>(stored), value);
        return {"v", "vector", Dtype::f32, floats.back().data(), {stored}, {n}};
    }
};

struct Net {
    std::shared_ptr<Tensors> tensors = std::make_shared<Tensors>();
    ModelSpec spec;

    void neurons(const std::string& name, const std::string& input, int64_t inputs, int64_t outputs, Shape rows) {
        NodeSpec fc{"fc_" + name, "linear", {input}, {"fc_" + name}, {}, {}};
        fc.attributes = {{"activations", std::string("int")},
                         {"output", std::string("float32")},
                         {"cold_start", std::string("run")},
                         {"group", int64_t{0}}};
        fc.tensors["weight"] = tensors->weight(outputs, inputs);
        fc.tensors["scale"] = tensors->vector(outputs, 0.01F);
        fc.tensors["bias"] = tensors->vector(outputs, 0.1F);
        spec.nodes.push_back(fc);
        NodeSpec lif{name, "lif", {"fc_" + name}, {name}, {}, {}};
        lif.attributes = {{"axis", int64_t{-1}},
                          {"decay", std::string("multiply")},
                          {"current", std::string("none")},
                          {"compare", std::string("ge")},
                          {"spike", std::string("binary")},
                          {"cap", int64_t{1}},
                          {"reset", std::string("zero")},
                          {"reset_at", std::string("same")},
                          {"refractory", int64_t{0}},
                          {"v_init", 0.0},
                          {"cold_start", std::string("run")}};
        lif.tensors["alpha"] = tensors->vector(1, 0.5F);
        lif.tensors["v_th"] = tensors->vector(1, 1.0F);
        spec.nodes.push_back(lif);
        rows.push_back(outputs);
        spec.states.push_back({name + ".v", rows, Dtype::f32, 0, "window"});
    }

    std::shared_ptr<const Model> build() {
        spec.identity = "test";
        spec.input.kind = "points";
        spec.input.points = kPoints, spec.input.groups = kGroups, spec.input.neighbours = kNeighbours;
        spec.input.steps = kSteps, spec.input.seed = 7;
        NodeSpec code{"code", "point_code", {"input"}, {"members", "centres"}, {}, {}};
        code.attributes = {{"coding", std::string("rate")}, {"features", std::string("unsigned")}, {"polarity", true}};
        spec.nodes.push_back(code);
        neurons("a", "members", 7, 24, {kGroups, kNeighbours});
        neurons("b", "a", 24, 24, {kGroups, kNeighbours});
        spec.nodes.push_back({"sum", "add", {"a", "b"}, {"sum"}, {}, {}});
        spec.nodes.push_back({"pool", "max", {"sum"}, {"pool"}, {{"axis", int64_t{-2}}}, {}});
        neurons("c", "pool", 24, 100, {kGroups});
        spec.nodes.push_back({"top", "max", {"c"}, {"top"}, {{"axis", int64_t{-2}}}, {}});
        neurons("d", "top", 100, 6, {});
        spec.nodes.push_back({"vote", "vote", {"d"}, {"vote"}, {{"classes", int64_t{3}}, {"voters", int64_t{2}}}, {}});
        spec.states.push_back({"vote.sum", {3}, Dtype::i64, 0, "window"});
        spec.states.push_back({"vote.steps", {}, Dtype::i64, 0, "window"});
        spec.outputs = {"vote"};
        spec.readout = "vote";
        spec.keepalive = tensors;
        return Model::build(spec);
    }
};

encode::PointWindow window(int64_t number) {
    Random random(static_cast<unsigned>(number));
    encode::PointWindow w;
    w.number = number, w.points = kPoints, w.groups = kGroups, w.neighbours = kNeighbours, w.sd = 2000.0;
    for (int64_t i = 0; i < kPoints * 4; ++i)
        w.coordinates.push_back(static_cast<int32_t>(i % 4 == 3 ? random() % 2 : random() % 16384));
    for (int64_t i = 0; i < kGroups; ++i) w.centroids.push_back(static_cast<int32_t>(random() % kPoints));
    for (int64_t i = 0; i < kGroups * kNeighbours; ++i) w.members.push_back(static_cast<int32_t>(random() % kPoints));
    return w;
}

StateTensors saved(const Session& session) {
    StateWriter writer("session");
    session.save(writer);
    return writer.tensors();
}

bool same(const StateTensors& a, const StateTensors& b) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, tensor] : a)
        if (b.count(name) == 0 || b.at(name).bytes != tensor.bytes || b.at(name).shape != tensor.shape) return false;
    return true;
}

// Keeps the scores after the last step of a call.
struct Scores final : StepSink {
    std::array<float, 3> last{};
    void steps(const Session& session, size_t, size_t count) noexcept override {
        session.copy_value(session.model().outputs()[0], count - 1, last.data());
    }
};

void check_steps(const std::shared_ptr<const Model>& model) {
    Session by_run(model), by_step(model);
    Scores run, step;
    by_run.run(window(1), run);  // the model's first workspace
    by_run.reset();
    int64_t spikes = 0;
    for (int64_t number : {3, 4}) {
        const encode::PointWindow w = window(number);
        const int64_t before = allocations;
        by_run.run(w, run);
        spikes = 0;
        for (int64_t t = 0; t < kSteps; ++t) {
            by_step.step(w, step);
            spikes += by_step.total().spikes;
        }
        expect(allocations == before, "step or run allocates");
        expect(run.last == step.last, "run is not so many steps");
    }
    expect(spikes > 0 && by_run.total().spikes == spikes, "spikes are counted otherwise");
    expect(same(saved(by_run), saved(by_step)), "states of run and steps differ");
}

template <typename Call>
bool refuses(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.status().kind == ErrorKind::model;
    }
    return false;
}

void check_load(const std::shared_ptr<const Model>& model) {
    Session session(model), other(model);
    Scores after;
    session.run(window(5), after);
    StateTensors tensors = saved(session);
    other.load(StateReader(tensors, "session"));
    expect(same(saved(other), tensors), "load is not the inverse of save");
    const auto refused = [&](const StateTensors& wrong) {
        Session fresh(model);
        const StateTensors before = saved(fresh);
        return refuses([&] { fresh.load(StateReader(wrong, "session")); }) && same(saved(fresh), before);
    };
    StateTensors wrong = tensors;
    wrong.erase("session/vote.sum");
    expect(refused(wrong), "a missing tensor is taken");
    wrong = tensors;
    wrong["session/d.v"].shape = {3};
    expect(refused(wrong), "another shape is taken");
    wrong = tensors;
    wrong["session/d.v"].bytes.resize(4);
    expect(refused(wrong), "cut bytes are taken");
    wrong = tensors;
    wrong["session/step"].bytes[0] = kSteps + 1;
    expect(refused(wrong), "a step past the window is taken");
}

void check_window_model(const std::shared_ptr<const Model>& model) {
    Session session(model);
    const std::unique_ptr<pipeline::WindowModel> door = make_window_model(model, pipeline::Readout{});
    pipeline::Inference inference;
    expect(door->infer(window(9), inference).ok(), "a good window is refused");
    Scores after;
    session.run(window(9), after);
    expect(std::equal(after.last.begin(), after.last.end(), inference.scores.begin()),
           "the door's scores are not the session's");
    expect(inference.synops == session.total().synops && inference.synops > 0, "the door counts otherwise");
    expect(inference.steps == kSteps, "the door does another number of steps");
    encode::PointWindow wrong = window(9);
    wrong.members[3] = kPoints;
    expect(door->infer(wrong, inference).kind == ErrorKind::model, "a wrong window is taken");
    expect(door->infer(encode::SpikeWindow{0, {}, {0, 0}, 0}, inference).kind == ErrorKind::model,
           "a window of spikes is taken as points");
}

// A window that may stop early: with a threshold that nothing exceeds the same as in one call, else after min_steps.
void check_early_exit(const std::shared_ptr<const Model>& model) {
    pipeline::Readout readout;
    pipeline::Inference whole, stepped, stopped;
    expect(make_window_model(model, readout)->infer(window(9), whole).ok(), "a good window is refused");
    readout.exit_steps = 2;
    readout.exit_confidence = 1.0f;
    expect(make_window_model(model, readout)->infer(window(9), stepped).ok(), "a good window is refused");
    expect(stepped.scores == whole.scores && stepped.steps == whole.steps && stepped.synops == whole.synops,
           "step by step is another window");
    readout.exit_confidence = 0.0f;
    expect(make_window_model(model, readout)->infer(window(9), stopped).ok(), "a good window is refused");
    expect(stopped.steps == 2 && stopped.synops < whole.synops, "the window did not stop");
}

}  // namespace

int main() {
    Net net;
    const std::shared_ptr<const Model> model = net.build();
    check_steps(model);
    check_load(model);
    check_window_model(model);
    check_early_exit(model);
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
