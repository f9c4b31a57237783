#include "exercise.hpp"

#include <algorithm>

#include "executor/window_check.hpp"

namespace edgesnn::fuzz {

using namespace executor;

namespace {

constexpr size_t kMostSteps = 20;          // more than a chunk
constexpr size_t kMostElements = 1 << 17;  // of all values of a window or step: a model of more is built, not run
constexpr size_t kMostWork = 1 << 11;      // elements times steps of a run, so that an execution is short

size_t step_elements(const Model& model) {
    size_t sum = 0;
    for (const ValueType& type : model.types()) sum += elements(type.shape);
    return sum;
}

size_t few_steps(const Model& model, Bytes& bytes) {
    const size_t steps = bytes.below(16) == 15 ? kMostSteps : 1 + bytes.below(3);
    return std::min(steps, std::max<size_t>(kMostWork / step_elements(model), 1));
}

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

// Of the session that records: mostly one, for starting threads takes longer than all the rest.
size_t threads(Bytes& bytes) {
    return bytes.below(64) == 63 ? 3 : 1;
}

Counters sum(const Counters& a, const Counters& b) {
    return {a.spikes + b.spikes, a.synops + b.synops, a.macs + b.macs};
}

bool equal(const Counters& a, const Counters& b) {
    return a.spikes == b.spikes && a.synops == b.synops && a.macs == b.macs;
}

// Two sessions were fed alike: their states are the same; then a third loads them, or one of the two begins a new
// window.
void check_states(const std::shared_ptr<const Model>& model, Session& by_run, const Session& by_step, Bytes& bytes) {
    const StateTensors states = saved(by_run);
    must(same(states, saved(by_step)), "states of run and steps differ");
    const size_t then = bytes.below(4);
    if (then == 3) new_window(model, by_run);
    if (then % 2 == 0) return;
    Session loaded(model);
    loaded.load(StateReader(states, "session"));
    must(same(saved(loaded), states), "load is not the inverse of save");
}

// Windows, a second one where bytes are left, by one session as a whole, and by another step by step, or recording, as
// the bytes say.
void exercise_points(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    const bool by_steps = bytes.flag();
    Session by_run(model);
    Session other(model, by_steps ? std::vector<int>{} : all_values(*model), by_steps, by_steps ? 1 : threads(bytes));
    for (int round = 0; round == 0 || (round == 1 && !bytes.empty()); ++round) {
        const encode::PointWindow w = window(model->spec().input, bytes);
        check_window(*model, w);
        Outputs run, again;
        by_run.run(w, run);
        Counters total;
        for (int64_t t = 0; by_steps && t < model->spec().input.steps; ++t) {
            other.step(w, again);
            total = sum(total, other.total());
        }
        if (!by_steps) other.run(w, again);
        must(run.bytes() == again.bytes(), "steps, recording or threads change the outputs");
        must(!by_steps || equal(total, by_run.total()), "run and steps count otherwise");
    }
    check_states(model, by_run, other, bytes);
}

void check_many(const std::shared_ptr<const Model>& model, const Session& before, Bytes& bytes) {
    const size_t count = few_steps(*model, bytes);
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

// The same inputs again, step by step, to a session that records (perhaps with threads), or as lists.
void check_again(const std::shared_ptr<const Model>& model, const Inputs& inputs, size_t steps, Session& by_run,
                 const Outputs& run, Bytes& bytes) {
    const ValueType& type = model->type(0);
    const size_t way = bytes.below(3);
    Session other(model, way == 1 ? all_values(*model) : std::vector<int>{}, way != 1, way == 1 ? threads(bytes) : 1);
    Outputs again;
    Counters total;
    if (way == 1) {
        other.run(ArraySource(type, inputs.array.data()), steps, again);
    } else if (way == 2 && type.kind == Kind::integer) {
        other.run(EventSource(type, inputs.indices.data(), inputs.offsets.data(), true), steps, again);
        total = other.total();
    } else {
        for (size_t t = 0; t < steps; ++t) {
            other.run(ArraySource(type, inputs.array.data() + t * inputs.step_bytes), 1, again);
            total = sum(total, other.total());
        }
    }
    must(run.bytes() == again.bytes(), "steps, recording, threads or lists of active inputs change the outputs");
    must(way == 1 || equal(total, by_run.total()), "run and steps count otherwise");
    check_states(model, by_run, other, bytes);
}

void exercise_arrays(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    const ValueType& type = model->type(0);
    const size_t steps = few_steps(*model, bytes);
    const Inputs inputs(type, steps, bytes);
    Session by_run(model);
    Outputs run;
    by_run.run(ArraySource(type, inputs.array.data()), steps, run);
    if (bytes.below(3) == 2)
        check_many(model, by_run, bytes);
    else
        check_again(model, inputs, steps, by_run, run, bytes);
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

void new_window(const std::shared_ptr<const Model>& model, Session& session) {
    const ModelSpec& spec = model->spec();
    const StateTensors first = saved(Session(model));
    StateTensors expected = saved(session);
    bool goes_on = !spec.states.empty() && spec.input.kind != "points";
    for (const StateSpec& state : spec.states) {
        goes_on = goes_on && state.reset != "window";
        if (state.reset == "window") expected.at("session/" + state.name) = first.at("session/" + state.name);
    }
    if (!goes_on) expected.at("session/step") = first.at("session/step");
    session.begin_window();
    must(same(saved(session), expected), "a new window resets what it must not, or not what it must");
}

bool same(const StateTensors& a, const StateTensors& b) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, own] : a) {
        const StateTensor& other = b.at(name);
        if (own.shape != other.shape || own.bytes.size() != other.bytes.size()) return false;
        if (own.bytes == other.bytes) continue;
        if (own.dtype != state_dtype<float>()) return false;
        std::vector<uint8_t> x = own.bytes, y = other.bytes;
        unify_nan(x.data(), x.size() / sizeof(float));
        unify_nan(y.data(), y.size() / sizeof(float));
        if (x != y) return false;
    }
    return true;
}

void exercise(const std::shared_ptr<const Model>& model, Bytes& bytes) {
    if (step_elements(*model) * static_cast<size_t>(std::max<int64_t>(model->spec().input.steps, 1)) > kMostElements)
        return;
    if (model->spec().input.kind == "points")
        exercise_points(model, bytes);
    else
        exercise_arrays(model, bytes);
}

}  // namespace edgesnn::fuzz
