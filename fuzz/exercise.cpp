#include "exercise.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "executor/window_check.hpp"

namespace edgesnn::fuzz {

using namespace executor;

namespace {

constexpr size_t kMostSteps = 20;  // more than a chunk

void unify_nan(uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        float value;
        std::memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        if (value != value) std::memset(bytes + i * sizeof(value), 0xFF, sizeof(value));
    }
}

// Inputs of `steps` steps of any kind but points, as arrays and, where there are such, as lists of active inputs.
struct Inputs {
    std::vector<uint8_t> array;
    std::vector<uint32_t> indices;
    std::vector<int64_t> offsets{0};
    size_t step_bytes = 0;

    Inputs(const ValueType& type, size_t steps, Bytes& bytes) {
        const size_t count = elements(type.shape);
        step_bytes = count * type.item_size();
        array.resize(steps * step_bytes);
        Stream stream(bytes.byte());
        const uint8_t density = bytes.byte();
        const bool any = bytes.below(8) == 7;
        for (size_t t = 0; t < steps; ++t) {
            for (size_t i = 0; i < count; ++i) put(type, t * count + i, i, density, any, stream);
            offsets.push_back(static_cast<int64_t>(indices.size()));
        }
    }

  private:
    void put(const ValueType& type, size_t at, size_t index, uint8_t density, bool any, Stream& stream) {
        if (type.kind == Kind::token) {
            const int64_t token = stream.from(0, type.bound);
            std::memcpy(array.data() + at * sizeof(token), &token, sizeof(token));
            return;
        }
        if (stream.from(1, 255) > density) return;
        if (type.kind == Kind::real) {
            const float value = any ? stream.any() : 3.0F * stream.real();
            std::memcpy(array.data() + at * sizeof(value), &value, sizeof(value));
            return;
        }
        array[at] = static_cast<uint8_t>(stream.from(1, any ? type.bound : 1));
        indices.insert(indices.end(), array[at], static_cast<uint32_t>(index));
    }
};

encode::PointWindow window(const InputSpec& input, Bytes& bytes) {
    Stream stream(bytes.byte());
    encode::PointWindow made;
    made.number = static_cast<int64_t>(stream.next() >> 1);
    made.points = input.points, made.groups = input.groups, made.neighbours = input.neighbours;
    static constexpr double kScales[] = {2000.0, 0.0, 1e-300, 1e300};
    made.sd = bytes.pick(kScales);
    for (int64_t i = 0; i < input.points * 4; ++i)
        made.coordinates.push_back(static_cast<int32_t>(stream.from(0, i % 4 == 3 ? 1 : 16383)));
    for (int64_t i = 0; i < input.groups; ++i)
        made.centroids.push_back(static_cast<int32_t>(stream.from(0, input.points - 1)));
    for (int64_t i = 0; i < input.groups * input.neighbours; ++i)
        made.members.push_back(static_cast<int32_t>(stream.from(0, input.points - 1)));
    return made;
}

// For a session that records every value and keeps no counters: another layout of the same memory.
std::vector<int> all_values(const Model& model) {
    std::vector<int> values;
    for (size_t v = 0; v < model.types().size(); ++v)
        if (model.types()[v].kind != Kind::window) values.push_back(static_cast<int>(v));
    return values;
}

// Of the session that records: mostly one.
size_t threads(Bytes& bytes) {
    return bytes.below(4) == 3 ? 3 : 1;
}

Counters sum(const Counters& a, const Counters& b) {
    return {a.spikes + b.spikes, a.synops + b.synops, a.macs + b.macs};
}

bool equal(const Counters& a, const Counters& b) {
    return a.spikes == b.spikes && a.synops == b.synops && a.macs == b.macs;
}

// `next` has been run as `by_run` was: loading what one saved makes a third go on as they do.
void check_reload(const std::shared_ptr<const Model>& model, const Session& by_run, const Session& by_step) {
    const StateTensors states = saved(by_run);
    must(same(states, saved(by_step)), "states of run and steps differ");
    Session loaded(model);
    loaded.load(StateReader(states, "session"));
    must(same(saved(loaded), states), "load is not the inverse of save");
}

void exercise_points(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    Session by_run(model), by_step(model), recording(model, all_values(*model), false, threads(bytes));
    for (int round = 0; round < 2; ++round) {
        const encode::PointWindow w = window(model->spec().input, bytes);
        check_window(*model, w);
        Outputs run, step, recorded;
        by_run.run(w, run);
        recording.run(w, recorded);
        Counters total;
        for (int64_t t = 0; t < model->spec().input.steps; ++t) {
            by_step.step(w, step);
            total = sum(total, by_step.total());
        }
        must(run.bytes() == step.bytes(), "run is not so many steps");
        must(run.bytes() == recorded.bytes(), "recording or threads change the outputs");
        must(equal(total, by_run.total()), "run and steps count otherwise");
    }
    check_reload(model, by_run, by_step);
}

void check_many(const std::shared_ptr<const Model>& model, const Session& before, Bytes& bytes) {
    const size_t count = bytes.below(8) == 7 ? kMostSteps : 3;
    const Inputs inputs(model->type(0), count, bytes);
    const ArraySource source(model->type(0), inputs.array.data());
    const StateTensors states = saved(before);
    std::vector<std::unique_ptr<Session>> sessions;
    std::vector<Session*> many;
    for (size_t i = 0; i < count; ++i) {
        sessions.push_back(std::make_unique<Session>(model));
        if (i % 2 == 1) sessions.back()->load(StateReader(states, "session"));
        many.push_back(sessions.back().get());
    }
    Outputs together, alone;
    Session::step_many(many.data(), count, source, together);
    for (size_t i = 0; i < count; ++i) {
        Session one(model);
        if (i % 2 == 1) one.load(StateReader(states, "session"));
        one.run(ArraySource(model->type(0), inputs.array.data() + i * inputs.step_bytes), 1, alone);
        must(same(saved(one), saved(*many[i])), "step_many leaves another state");
        must(equal(one.total(), many[i]->total()), "step_many counts otherwise");
    }
    must(together.bytes() == alone.bytes(), "step_many is not a step of each");
}

void exercise_arrays(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    const ValueType& type = model->type(0);
    const size_t steps = 1 + bytes.below(kMostSteps);
    const Inputs inputs(type, steps, bytes);
    Session by_run(model), by_step(model), recording(model, all_values(*model), false, threads(bytes));
    Outputs run, step, recorded;
    by_run.run(ArraySource(type, inputs.array.data()), steps, run);
    recording.run(ArraySource(type, inputs.array.data()), steps, recorded);
    Counters total;
    for (size_t t = 0; t < steps; ++t) {
        by_step.run(ArraySource(type, inputs.array.data() + t * inputs.step_bytes), 1, step);
        total = sum(total, by_step.total());
    }
    must(run.bytes() == step.bytes(), "run is not so many steps");
    must(run.bytes() == recorded.bytes(), "recording or threads change the outputs");
    must(equal(total, by_run.total()), "run and steps count otherwise");
    check_reload(model, by_run, by_step);
    if (type.kind == Kind::integer) {
        Session by_events(model);
        Outputs events;
        by_events.run(EventSource(type, inputs.indices.data(), inputs.offsets.data(), true), steps, events);
        must(run.bytes() == events.bytes(), "lists of active inputs are not the arrays");
    }
    check_many(model, by_run, bytes);
}

}  // namespace

void Outputs::steps(const Session& session, size_t, size_t count) noexcept {
    const Model& model = session.model();
    for (size_t slot = 0; slot < count; ++slot)
        for (const int value : model.outputs()) {
            const size_t size = elements(model.type(value).shape) * model.type(value).item_size(), at = bytes_.size();
            bytes_.resize(at + size);
            session.copy_value(value, slot, bytes_.data() + at);
            if (model.type(value).kind == Kind::real) unify_nan(bytes_.data() + at, size / sizeof(float));
        }
}

StateTensors saved(const Session& session) {
    StateWriter writer("session");
    session.save(writer);
    return writer.tensors();
}

bool same(const StateTensors& a, const StateTensors& b) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, tensor] : a) {
        StateTensor other = b.at(name), own = tensor;
        if (own.dtype == state_dtype<float>()) {
            unify_nan(own.bytes.data(), own.bytes.size() / sizeof(float));
            unify_nan(other.bytes.data(), other.bytes.size() / sizeof(float));
        }
        if (own.shape != other.shape || own.bytes != other.bytes) return false;
    }
    return true;
}

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

void exercise(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    if (model->spec().input.kind == "points")
        exercise_points(model, bytes);
    else
        exercise_arrays(model, bytes);
}

}  // namespace edgesnn::fuzz
