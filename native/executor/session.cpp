#include "executor/session.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/float_environment.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSharedElements = 1 << 14;  // of a batch's output, at least, to wake threads for
constexpr size_t kMaxRank = 16;              // of a state: a value has at most 8 axes
constexpr size_t kMaxStateBytes = size_t{1} << 33;

void fail_window(const std::string& what, const std::string& found, const std::string& expected) {
    throw Error(ErrorKind::model, what, "window", found, expected);
}

void check_indices(const std::vector<int32_t>& indices, int64_t points) {
    for (const int32_t i : indices)
        if (i < 0 || i >= points)
            fail_window("window has indices of points that do not exist", std::to_string(i),
                        "0 to " + std::to_string(points - 1));
}

// x, y, t on the grid of 16384, polarity 0 or 1: docs/arithmetic.md, section 8.
void check_points(const std::vector<int32_t>& coordinates) {
    for (size_t i = 0; i < coordinates.size(); ++i) {
        const int32_t most = i % 4 == 3 ? 1 : 16383;
        if (coordinates[i] < 0 || coordinates[i] > most)
            fail_window("window has points off the grid", std::to_string(coordinates[i]),
                        "0 to " + std::to_string(most));
    }
}

void check_step(const uint32_t* first, const uint32_t* end, const ValueType& type) {
    const size_t size = elements(type.shape);
    int64_t run = 0;
    for (const uint32_t* at = first; at != end; ++at) {
        run = at != first && *at == *(at - 1) ? run + 1 : 1;
        if (*at < size && (at == first || *at >= *(at - 1)) && run <= type.bound) continue;
        fail_window(
            "window has an index out of range, out of order or above its bound", std::to_string(*at),
            "0 to " + std::to_string(size - 1) + ", ascending, at most " + std::to_string(type.bound) + " times");
    }
}

// How a state lies in memory: its last axes as a value of that shape does, the leading ones around it.
StateView empty_view(const StateSpec& spec, const OpState& state) {
    const size_t item = item_size(spec.dtype);
    if (spec.shape.empty()) return {&spec, nullptr, {}, kAlignment, state.limits};
    const ValueType type{Kind::real, Shape(spec.shape.begin() + static_cast<int64_t>(state.leading), spec.shape.end()),
                         0, state.last};
    std::vector<size_t> strides(spec.shape.size());
    size_t next = type.last ? type.stride() : 1;  // elements from one index to the next of the last axis
    for (size_t i = spec.shape.size(); i-- > state.leading + (type.last ? 1 : 0);) {
        strides[i] = next * item;
        next *= i + 1 == spec.shape.size() && !type.last ? type.stride() : static_cast<size_t>(spec.shape[i]);
    }
    if (type.last) strides[state.leading] = item;
    size_t bytes = type.rows() * type.stride() * item;
    for (size_t i = state.leading; i-- > 0;) {
        strides[i] = bytes;
        bytes *= static_cast<size_t>(spec.shape[i]);
    }
    return {&spec, nullptr, strides, round_up(bytes, kAlignment), state.limits};
}

// Calls visit(place in memory) for every element, in C order of the shape.
template <typename Visit>
void each_element(const StateView& view, Visit visit) {
    const Shape& shape = view.spec->shape;
    int64_t index[kMaxRank] = {};
    auto* data = static_cast<uint8_t*>(view.data);
    for (size_t left = elements(shape); left-- > 0;) {
        visit(data);
        for (size_t axis = shape.size(); axis-- > 0;) {
            data += view.strides[axis];
            if (++index[axis] < shape[axis]) break;
            data -= view.strides[axis] * static_cast<size_t>(shape[axis]);
            index[axis] = 0;
        }
    }
}

template <typename T>
void fill_all(const StateView& view) noexcept {
    const T value = static_cast<T>(view.spec->initial);
    each_element(view, [&](uint8_t* at) { std::memcpy(at, &value, sizeof(value)); });
}

void initialise(const StateView& view) noexcept {
    std::memset(view.data, 0, view.bytes);
    if (view.spec->initial == 0) return;
    if (view.spec->dtype == Dtype::f32) fill_all<float>(view);
    if (view.spec->dtype == Dtype::i32) fill_all<int32_t>(view);
    if (view.spec->dtype == Dtype::i64) fill_all<int64_t>(view);
    if (view.spec->dtype == Dtype::u8) fill_all<uint8_t>(view);
}

template <typename T>
void check_all(const StateView& view, const StateTensor& tensor) {
    for (size_t i = 0; i < tensor.bytes.size(); i += sizeof(T)) {
        T value;
        std::memcpy(&value, tensor.bytes.data() + i, sizeof(value));
        if (value < view.limits.low || value > view.limits.high)
            throw Error(ErrorKind::model, "snapshot's state is out of range", view.spec->name, std::to_string(value),
                        std::to_string(view.limits.low) + " to " + std::to_string(view.limits.high));
    }
}

void check_limits(const StateView& view, const StateTensor& tensor) {
    if (view.spec->dtype == Dtype::i64) check_all<int64_t>(view, tensor);
    if (view.spec->dtype == Dtype::i32) check_all<int32_t>(view, tensor);
    if (view.spec->dtype == Dtype::u8) check_all<uint8_t>(view, tensor);
}

const char* dtype_name(Dtype dtype) {
    return dtype == Dtype::f32   ? state_dtype<float>()
           : dtype == Dtype::i32 ? state_dtype<int32_t>()
           : dtype == Dtype::i64 ? state_dtype<int64_t>()
                                 : state_dtype<uint8_t>();
}

}  // namespace

void ArraySource::fill(size_t index, void* to) const noexcept {
    const size_t bytes = type_.columns() * type_.item_size(), row_bytes = type_.stride() * type_.item_size();
    const size_t rows = type_.rows();
    const uint8_t* from = data_ + index * rows * bytes;
    for (size_t row = 0; row < rows; ++row)
        std::memcpy(static_cast<uint8_t*>(to) + row * row_bytes, from + row * bytes, bytes);
}

void EventSource::fill(size_t index, void* to) const noexcept {
    auto* bytes = static_cast<uint8_t*>(to);
    const auto columns = static_cast<uint32_t>(type_.columns()), stride = static_cast<uint32_t>(type_.stride());
    std::memset(bytes, 0, type_.rows() * type_.stride());
    for (int64_t i = offsets_[index]; i < offsets_[index + 1]; ++i) {
        uint8_t& value =
            bytes[columns == stride ? indices_[i] : indices_[i] / columns * stride + indices_[i] % columns];
        value = count_ ? static_cast<uint8_t>(value + 1) : uint8_t{1};
    }
}

struct Session::Slots {
    Session* const* sessions;  // one for all slots, or one each
    bool many;
    bool counted;  // several sessions, and one of them counts: each slot by itself
    const Workspace* workspace;

    Session& session(size_t slot) const noexcept { return *sessions[many ? slot : 0]; }
};

Session::Session(std::shared_ptr<const Model> model, std::vector<int> recorded, bool account, size_t threads)
    : model_(std::move(model)), plan_(recorded.empty() ? &model_->plan() : &model_->whole_plan()), account_(account) {
    std::vector<int> kept = model_->outputs();
    kept.insert(kept.end(), recorded.begin(), recorded.end());
    if (!recorded.empty() || threads > 1)
        own_ = std::make_unique<WorkspacePool>(model_->steps(), make_layout(*plan_, model_->types(), kept),
                                               std::max<size_t>(threads, 1));
    if (threads > 1) threads_ = std::make_unique<ThreadPool>(threads);
    const auto& specs = model_->spec().states;
    for (const Step& step : model_->steps())
        for (const OpState& state : step.op->states) states_.push_back(empty_view(specs[states_.size()], state));
    size_t bytes = kAlignment;
    for (const StateView& view : states_) {
        bytes += view.bytes;
        if (bytes > kMaxStateBytes)
            throw Error(ErrorKind::model, "states need too much memory", view.spec->name, "", "at most 8 GiB together");
    }
    memory_.reset(new uint8_t[bytes]);
    auto* next = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<size_t>(memory_.get()), kAlignment));
    for (StateView& view : states_) {
        view.data = next;
        next += view.bytes;
    }
    size_t state = 0;
    for (const Step& step : model_->steps()) {
        step_states_.emplace_back();
        for (size_t i = 0; i < step.op->states.size(); ++i) step_states_.back().push_back(states_[state++].data);
    }
    counters_.resize(model_->spec().nodes.size() + 1);
    others_.resize(threads_ == nullptr ? 0 : threads - 1, counters_);
    goes_on_ = !specs.empty() && model_->type(0).kind != Kind::window &&
               std::all_of(specs.begin(), specs.end(), [](const StateSpec& spec) { return spec.reset == "never"; });
    reset();
}

void Session::check(const encode::PointWindow& window) const {
    const InputSpec& input = model_->spec().input;
    if (input.kind != "points") fail_window("model takes no windows of points", "points", input.kind);
    const auto size = [](int64_t n) { return static_cast<size_t>(n); };
    if (window.points != input.points || window.groups != input.groups || window.neighbours != input.neighbours ||
        window.coordinates.size() != size(input.points) * 4 || window.centroids.size() != size(input.groups) ||
        window.members.size() != size(input.groups) * size(input.neighbours))
        fail_window("window has other sizes than the model's input",
                    std::to_string(window.points) + " points, " + std::to_string(window.groups) + " groups of " +
                        std::to_string(window.neighbours),
                    std::to_string(input.points) + " points, " + std::to_string(input.groups) + " groups of " +
                        std::to_string(input.neighbours));
    check_indices(window.centroids, input.points);
    check_indices(window.members, input.points);
    check_points(window.coordinates);
    if (!std::isfinite(window.sd) || window.sd < 0)
        fail_window("window's scale is not a number", std::to_string(window.sd), "0 or more");
}

void Session::step(const encode::PointWindow& window, StepSink& sink) {
    workspace_ = pool().take();
    if (step_ >= model_->spec().input.steps) reset(false);
    prepare(window);
    Session* const self = this;
    clear_counters();
    advance({&self, false, false, workspace_.get()}, 1);
    sink.steps(*this, 0, 1);
    pool().give(std::move(workspace_));
}

void Session::run(const encode::PointWindow& window, StepSink& sink) {
    workspace_ = pool().take();
    reset(false);
    prepare(window);
    Session* const self = this;
    const auto steps = static_cast<size_t>(model_->spec().input.steps);
    clear_counters();
    advance({&self, false, false, workspace_.get()}, steps);
    sink.steps(*this, 0, steps);
    pool().give(std::move(workspace_));
}

void Session::run(const StepSource& source, size_t count, StepSink& sink) {
    workspace_ = pool().take();
    Session* const self = this;
    clear_counters();
    const size_t chunk = plan_->chunk_steps;
    for (size_t first = 0; first < count; first += chunk) {
        const size_t steps = std::min(chunk, count - first);
        for (size_t t = 0; t < steps; ++t) source.fill(first + t, workspace_->address(0, t, 0));
        advance({&self, false, false, workspace_.get()}, steps);
        sink.steps(*this, first, steps);
    }
    pool().give(std::move(workspace_));
}

void Session::check(const encode::SpikeWindow& window) const {
    const ValueType& type = model_->type(0);
    if (type.kind != Kind::integer)
        fail_window("model takes no windows of spikes", "spikes", model_->spec().input.kind);
    const auto& [number, indices, offsets, clamped] = window;
    bool fits = !offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<int64_t>(indices.size());
    for (size_t step = 0; fits && step < window.steps(); ++step) fits = offsets[step] <= offsets[step + 1];
    if (!fits) fail_window("window's offsets do not cover its indices", std::to_string(number), "ascending from 0");
    for (size_t step = 0; step < window.steps(); ++step)
        check_step(indices.data() + offsets[step], indices.data() + offsets[step + 1], type);
}

void Session::run(const encode::SpikeWindow& window, StepSink& sink) {
    begin_window();
    run(EventSource(model_->type(0), window.indices.data(), window.offsets.data(), true), window.steps(), sink);
}

void Session::begin_window() noexcept {
    const int64_t step = step_;
    reset(false);
    if (goes_on_) step_ = step;
}

void Session::step_many(Session* const* sessions, size_t count, const StepSource& source, StepSink& sink) {
    if (count == 0) return;
    Session& reader = *sessions[0];
    reader.workspace_ = reader.pool().take();
    bool counted = false;
    for (size_t i = 0; i < count; ++i) {
        sessions[i]->clear_counters();
        counted = counted || sessions[i]->account_;
    }
    const size_t chunk = reader.plan_->chunk_steps;
    for (size_t first = 0; first < count; first += chunk) {
        const size_t steps = std::min(chunk, count - first);
        for (size_t t = 0; t < steps; ++t) source.fill(first + t, reader.workspace_->address(0, t, 0));
        reader.advance({sessions + first, true, counted, reader.workspace_.get()}, steps);
        sink.steps(reader, first, steps);
    }
    reader.pool().give(std::move(reader.workspace_));
}

void Session::prepare(const encode::PointWindow& window) noexcept {
    const FloatEnvironment environment;
    for (size_t i = 0; i < model_->steps().size(); ++i)
        if (workspace_->scratch(i) != nullptr) model_->steps()[i].op->prepare(window, *workspace_->scratch(i));
}

void Session::advance(Slots slots, size_t count) noexcept {
    const FloatEnvironment environment;
    for (const Segment& segment : plan_->segments) run_segment(segment, slots, count);
    if (!slots.many)
        step_ += static_cast<int64_t>(count);
    else
        for (size_t i = 0; i < count; ++i) ++slots.sessions[i]->step_;
}

void Session::run_segment(const Segment& segment, const Slots& slots, size_t count) noexcept {
    if (segment.kind == SegmentKind::tiled) return run_tiles(segment, slots, count);
    for (const Entry& entry : segment.constant) run_constant(entry, 0, entry.rows, slots, count, 0);
    if (segment.batched && !slots.counted) return run_batch(segment.stepping.front(), slots, count);
    for (size_t slot = 0; slot < count; ++slot) {
        for (const Entry& entry : segment.stepping) run_entry(entry, 0, entry.rows, slots, slot);
        for (const Entry& entry : segment.latches)
            model_->steps()[entry.step].op->latch(call(entry, 0, entry.rows, slots, slot, 0));
    }
}

void Session::run_tiles(const Segment& segment, const Slots& slots, size_t count) noexcept {
    const size_t tiles = (segment.rows + segment.tile_rows - 1) / segment.tile_rows;
    if (threads_ == nullptr || tiles == 1) {
        for (size_t tile = 0; tile < tiles; ++tile) run_tile(segment, slots, count, tile * segment.tile_rows, 0);
        return;
    }
    std::atomic<size_t> next{0};
    const auto work = [&](size_t thread) {
        for (size_t tile = next++; tile < tiles; tile = next++)
            run_tile(segment, slots, count, tile * segment.tile_rows, thread);
    };
    threads_->run(work);
    add_counters();
}

void Session::run_tile(const Segment& segment, const Slots& slots, size_t count, size_t first, size_t thread) noexcept {
    const size_t rows = std::min(segment.tile_rows, segment.rows - first);
    for (const Entry& entry : segment.constant) run_constant(entry, first, rows, slots, count, thread);
    for (size_t slot = 0; slot < count; ++slot)
        for (const Entry& entry : segment.stepping) run_entry(entry, first, rows, slots, slot, thread);
}

// What is computed once for `count` steps counts as often as it stands for.
void Session::run_constant(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t count,
                           size_t thread) noexcept {
    const OpCall work = call(entry, first_row, rows, slots, 0, thread);
    const Counters before = *work.counters;
    model_->steps()[entry.step].op->run(work);
    const auto again = static_cast<int64_t>(count) - 1;
    work.counters->spikes += again * (work.counters->spikes - before.spikes);
    work.counters->synops += again * (work.counters->synops - before.synops);
    work.counters->macs += again * (work.counters->macs - before.macs);
}

// The rows of all slots, shared among the threads where there are enough.
void Session::run_batch(const Entry& entry, const Slots& slots, size_t count) noexcept {
    const size_t rows = count * entry.rows;
    const size_t elements = rows * model_->type(entry.value).stride();
    const Op& op = *model_->steps()[entry.step].op;
    if (threads_ != nullptr && rows == 1 && op.parts() != 0) return run_parts(op, call(entry, 0, 1, slots, 0, 0));
    if (threads_ == nullptr || rows < threads_->threads() || elements < kSharedElements)
        return run_entry(entry, 0, rows, slots, 0);
    const size_t group = entry.rows;  // whole slots: an operator may join the rows of one
    const auto work = [&](size_t thread) {
        const size_t threads = threads_->threads(), begin = count * thread / threads,
                     end = count * (thread + 1) / threads;
        if (begin < end) run_entry(entry, begin * group, (end - begin) * group, slots, 0, thread);
    };
    threads_->run(work);
    add_counters();
}

void Session::run_entry(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t slot,
                        size_t thread) noexcept {
    const Op& op = *model_->steps()[entry.step].op;
    const OpCall work = call(entry, first_row, rows, slots, slot, thread);
    if (entry.fused < 0) return op.run(work);
    const auto fused = static_cast<size_t>(entry.fused);
    OpCall next = work;
    next.states = slots.session(slot).step_states_[fused].data();
    next.counters = &counters_of(slots.session(slot), fused, thread);
    op.run_fused(work, *model_->steps()[fused].op, next);
}

// The outputs of one row, shared among the threads.
void Session::run_parts(const Op& op, const OpCall& call) noexcept {
    const auto work = [&](size_t thread) {
        const size_t threads = threads_->threads(), parts = op.parts();
        const size_t begin = parts * thread / threads, end = parts * (thread + 1) / threads;
        if (begin < end) op.run_part(call, begin, end);
    };
    op.begin_parts(call);
    threads_->run(work);
}

void Session::add_counters() noexcept {
    for (auto& others : others_)
        for (size_t i = 0; i < counters_.size(); ++i) {
            counters_[i].spikes += others[i].spikes;
            counters_[i].synops += others[i].synops;
            counters_[i].macs += others[i].macs;
            others[i] = {};
        }
}

OpCall Session::call(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t slot,
                     size_t thread) noexcept {
    const Step& step = model_->steps()[entry.step];
    Session& session = slots.session(slot);
    OpCall call;
    for (size_t i = 0; i < entry.inputs.size(); ++i)
        call.inputs[i] = slots.workspace->address(entry.inputs[i], slot, first_row, thread);
    call.output = slots.workspace->address(entry.value, slot, step.op->output_row(first_row), thread);
    call.output_index = entry.output;
    call.first_row = first_row;
    call.rows = rows;
    call.step = session.step_ + static_cast<int64_t>(slots.many ? 0 : slot);
    call.states = session.step_states_[entry.step].data();
    call.scratch = slots.workspace->scratch(entry.step, thread);
    call.counters = &counters_of(session, entry.step, thread);
    return call;
}

Counters& Session::counters_of(Session& session, size_t step, size_t thread) noexcept {
    auto& counters = thread == 0 ? session.counters_ : others_[thread - 1];
    return counters[session.account_ ? model_->steps()[step].node : counters.size() - 1];
}

void Session::copy_value(int value, size_t slot, void* to) const noexcept {
    const ValueType& type = model_->type(value);
    const size_t item = type.item_size();
    const auto* from = static_cast<const uint8_t*>(workspace_->address(value, slot, 0));
    auto* bytes = static_cast<uint8_t*>(to);
    if (!type.last) {
        const size_t rows = type.rows(), bytes_of_row = type.columns() * item, stride = type.stride() * item;
        for (size_t row = 0; row < rows; ++row)
            std::memcpy(bytes + row * bytes_of_row, from + row * stride, bytes_of_row);
        return;
    }
    const size_t rows = type.rows(), row_bytes = type.stride() * item;
    for (size_t channel = 0; channel < type.columns(); ++channel)
        for (size_t row = 0; row < rows; ++row, bytes += item)
            std::memcpy(bytes, from + row * row_bytes + channel * item, item);
}

void Session::reset() noexcept {
    reset(true);
}

void Session::reset(bool never_too) noexcept {
    for (const StateView& view : states_)
        if (never_too || view.spec->reset == "window") initialise(view);
    step_ = 0;
}

void Session::clear_counters() noexcept {
    std::fill(counters_.begin(), counters_.end(), Counters{});
}

Counters Session::total() const noexcept {
    Counters sum;
    for (size_t i = 0; i + 1 < counters_.size(); ++i) {
        sum.spikes += counters_[i].spikes;
        sum.synops += counters_[i].synops;
        sum.macs += counters_[i].macs;
    }
    return sum;
}

void Session::save(StateWriter& writer) const {
    for (const StateView& view : states_) {
        const size_t item = item_size(view.spec->dtype);
        StateTensor tensor{dtype_name(view.spec->dtype), view.spec->shape, {}};
        tensor.bytes.reserve(elements(view.spec->shape) * item);
        each_element(view, [&](const uint8_t* at) { tensor.bytes.insert(tensor.bytes.end(), at, at + item); });
        writer.put(view.spec->name, std::move(tensor));
    }
    writer.put("step", step_);
}

void Session::load(const StateReader& reader) {
    const auto step = reader.get<int64_t>("step");
    const InputSpec& input = model_->spec().input;
    if (step < 0 || step > (input.kind == "points" ? input.steps : kMostSteps))
        throw Error(ErrorKind::model, "snapshot's step number is not one", "step", std::to_string(step));
    for (const StateView& view : states_) {
        const StateTensor& tensor = reader.find(view.spec->name);
        if (tensor.dtype != dtype_name(view.spec->dtype) || tensor.shape != view.spec->shape ||
            tensor.bytes.size() != elements(view.spec->shape) * item_size(view.spec->dtype))
            throw Error(ErrorKind::model, "snapshot tensor has another shape or type", view.spec->name, tensor.dtype);
        check_limits(view, tensor);
    }
    for (const StateView& view : states_) {
        const size_t item = item_size(view.spec->dtype);
        const uint8_t* from = reader.find(view.spec->name).bytes.data();
        each_element(view, [&](uint8_t* at) {
            std::memcpy(at, from, item);
            from += item;
        });
    }
    step_ = step;
}

}  // namespace edgesnn::executor
