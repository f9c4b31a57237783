// Small models: step, run and step_many allocate nothing after the first call, run is so many steps is step_many, save
// and load go round, a refused load changes nothing, and the pipeline's door gives the session's scores.
#include "executor/session.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "pipeline/executor_model.hpp"
#include "tests/small_models.hpp"

namespace {

int64_t allocations = 0;
int failures = 0;

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    ++failures;
}

}  // namespace

// Not inlined: a compiler that sees malloc through them takes their pairs for mismatched.
__attribute__((noinline)) void* operator new(size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(size_t size, const std::nothrow_t&) noexcept {  // of std::stable_sort
    ++allocations;
    return std::malloc(size);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
    std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace {

using namespace edgesnn;
using namespace edgesnn::executor;
using namespace edgesnn::small_models;

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

// Numbers that no session could have saved.
void check_limits() {
    const std::shared_ptr<const Model> model = integers();
    Session session(model);
    const StateTensors good = saved(session);
    const std::pair<const char*, uint8_t> wrong[] = {{"session/later.line", 0x7F},     {"session/later.position", 4},
                                                     {"session/hidden.refractory", 3}, {"session/hidden.u", 0x80},
                                                     {"session/total.total", 0x80},    {"session/step", 0x7F}};
    for (const auto& [name, byte] : wrong) {
        StateTensors tensors = good;
        std::vector<uint8_t>& bytes = tensors[name].bytes;
        // the lowest byte of a small number, the highest of one that is too large or negative
        const size_t item = tensors[name].dtype.back() == '8' ? 8 : 4;
        bytes[byte < 16 ? 0 : item - 1] = byte;
        expect(refuses([&] { session.load(StateReader(tensors, "session")); }), name);
        expect(same(saved(session), good), "a refused snapshot changes the state");
    }
    session.load(StateReader(good, "session"));
}

void check_window_model(const std::shared_ptr<const Model>& model) {
    Session session(model);
    const std::unique_ptr<pipeline::WindowModel> door = pipeline::make_window_model(model, pipeline::Readout{});
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
    expect(pipeline::make_window_model(model, readout)->infer(window(9), whole).ok(), "a good window is refused");
    readout.exit_steps = 2;
    readout.exit_confidence = 1.0f;
    expect(pipeline::make_window_model(model, readout)->infer(window(9), stepped).ok(), "a good window is refused");
    expect(stepped.scores == whole.scores && stepped.steps == whole.steps && stepped.synops == whole.synops,
           "step by step is another window");
    readout.exit_confidence = 0.0f;
    expect(pipeline::make_window_model(model, readout)->infer(window(9), stopped).ok(), "a good window is refused");
    expect(stopped.steps == 2 && stopped.synops < whole.synops, "the window did not stop");
}

// Inputs of `steps` steps: as an array, and for small integers as lists of active inputs.
struct Inputs {
    std::vector<uint8_t> array;
    std::vector<uint32_t> indices;
    std::vector<int64_t> offsets{0};

    Inputs(const ValueType& type, size_t steps) {
        Random random(5);
        for (size_t t = 0; t < steps; ++t) {
            for (uint32_t i = 0; i < elements(type.shape); ++i) put(type, i, random);
            offsets.push_back(static_cast<int64_t>(indices.size()));
        }
    }

  private:
    void put(const ValueType& type, uint32_t index, Random& random) {
        const auto value = static_cast<uint8_t>(random() % static_cast<unsigned>(type.bound + 1));
        const uint8_t byte = type.kind == Kind::token || random() % 4 == 0 ? value : uint8_t{0};
        array.push_back(byte);
        array.resize(array.size() + type.item_size() - 1);  // a token is eight bytes
        indices.insert(indices.end(), byte, index);
    }
};

// Keeps a hash of all outputs: of equal calls it is equal.
struct Digest final : StepSink {
    uint64_t hash = 1;
    std::vector<uint8_t> bytes = std::vector<uint8_t>(1 << 12);
    void steps(const Session& session, size_t, size_t count) noexcept override {
        for (size_t slot = 0; slot < count; ++slot)
            for (const int value : session.model().outputs()) {
                const ValueType& type = session.model().type(value);
                session.copy_value(value, slot, bytes.data());
                for (size_t i = 0; i < elements(type.shape) * type.item_size(); ++i)
                    hash = hash * 1099511628211U ^ bytes[i];
            }
    }
};

// Inputs that are no windows, in every form of call.
void check_forms(const std::shared_ptr<const Model>& model) {
    constexpr size_t kTotal = 40;
    const ValueType& type = model->type(0);
    const Inputs inputs(type, kTotal);
    const size_t step_bytes = inputs.array.size() / kTotal;
    const ArraySource all(type, inputs.array.data());
    Session by_run(model), by_step(model), by_events(model);
    Digest run, step, events, warm;
    by_run.run(all, kTotal, warm);
    by_run.reset();
    const int64_t before = allocations;
    by_run.run(all, kTotal, run);
    for (size_t t = 0; t < kTotal; ++t) by_step.run(ArraySource(type, inputs.array.data() + t * step_bytes), 1, step);
    if (type.kind == Kind::integer)
        by_events.run(EventSource(type, inputs.indices.data(), inputs.offsets.data(), true), kTotal, events);
    expect(allocations == before, "a call allocates");
    expect(run.hash == step.hash, "run is not so many steps");
    expect(type.kind != Kind::integer || run.hash == events.hash, "lists of active inputs are not the arrays");
    expect(same(saved(by_run), saved(by_step)), "states of run and steps differ");
    Session loaded(model);
    loaded.load(StateReader(saved(by_run), "session"));
    expect(same(saved(loaded), saved(by_run)), "load is not the inverse of save");
}

void check_many(const std::shared_ptr<const Model>& model) {
    constexpr size_t kSessions = 20;  // more than a chunk
    const ValueType& type = model->type(0);
    const Inputs inputs(type, kSessions);
    const size_t step_bytes = inputs.array.size() / kSessions;
    std::vector<std::unique_ptr<Session>> sessions, twins;
    std::vector<Session*> many;
    for (size_t i = 0; i < kSessions; ++i) {
        sessions.push_back(std::make_unique<Session>(model)), twins.push_back(std::make_unique<Session>(model));
        many.push_back(sessions.back().get());
    }
    Digest together, alone, warm;
    const ArraySource all(type, inputs.array.data());
    Session(model).run(all, 1, warm);
    const int64_t before = allocations;
    for (int round = 0; round < 3; ++round) {
        Session::step_many(many.data(), kSessions, all, together);
        for (size_t i = 0; i < kSessions; ++i)
            twins[i]->run(ArraySource(type, inputs.array.data() + i * step_bytes), 1, alone);
    }
    expect(allocations == before, "step_many allocates");
    expect(together.hash == alone.hash, "step_many is not a step of each");
    for (size_t i = 0; i < kSessions; ++i) expect(same(saved(*many[i]), saved(*twins[i])), "step_many leaves others");
}

}  // namespace

int main() {
    const std::shared_ptr<const Model> points = spikepoint();
    check_steps(points);
    check_load(points);
    check_limits();
    check_window_model(points);
    check_early_exit(points);
    for (const auto& model : {recurrent(), integers(), tokens()}) {
        check_forms(model);
        check_many(model);
    }
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
