#include "executor/session.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/float_environment.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kAlignment = 64;

size_t item_size(Dtype dtype) noexcept {
    return dtype == Dtype::i64 ? 8 : dtype == Dtype::f32 ? 4 : 1;
}

StateView empty_view(const StateSpec& spec) {
    size_t rows = 1;
    for (size_t i = 0; i + 1 < spec.shape.size(); ++i) rows *= static_cast<size_t>(spec.shape[i]);
    const size_t columns = spec.shape.empty() ? 1 : static_cast<size_t>(spec.shape.back());
    return {&spec, nullptr, rows, columns, round_up(columns, kLanes)};
}

size_t state_bytes(const StateView& view) {
    return round_up(view.rows * view.stride * item_size(view.spec->dtype), kAlignment);
}

void fail_window(const std::string& what, const std::string& found, const std::string& expected) {
    throw Error(ErrorKind::model, what, "window", found, expected);
}

void check_indices(const std::vector<int32_t>& indices, int64_t points) {
    for (const int32_t i : indices)
        if (i < 0 || i >= points)
            fail_window("window has indices of points that do not exist", std::to_string(i),
                        "0 to " + std::to_string(points - 1));
}

// Rows between padded and packed memory.
void pack(const StateView& view, uint8_t* packed) {
    const size_t item = item_size(view.spec->dtype), bytes = view.columns * item;
    for (size_t row = 0; row < view.rows; ++row)
        std::memcpy(packed + row * bytes, static_cast<const uint8_t*>(view.data) + row * view.stride * item, bytes);
}

void unpack(const StateTensor& tensor, const StateView& view) {
    const size_t item = item_size(view.spec->dtype), bytes = view.columns * item;
    for (size_t row = 0; row < view.rows; ++row)
        std::memcpy(static_cast<uint8_t*>(view.data) + row * view.stride * item, tensor.bytes.data() + row * bytes,
                    bytes);
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model, std::vector<int> recorded) : model_(std::move(model)) {
    std::vector<ValueType> types;
    for (size_t v = 0; v < model_->plan().shared.size(); ++v) types.push_back(model_->type(static_cast<int>(v)));
    layout_ = make_layout(model_->plan(), types, recorded);
    for (const StateSpec& spec : model_->spec().states) states_.push_back(empty_view(spec));
    size_t bytes = layout_.bytes + kAlignment;
    for (const StateView& view : states_) bytes += state_bytes(view);
    memory_.reset(new uint8_t[bytes]());
    base_ = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<size_t>(memory_.get()), kAlignment));
    uint8_t* next = base_ + layout_.bytes;
    for (StateView& view : states_) {
        view.data = next;
        next += state_bytes(view);
    }
    size_t state = 0;
    for (const auto& op : model_->ops()) {
        node_states_.emplace_back();
        for (size_t i = 0; i < op->states.size(); ++i) node_states_.back().push_back(states_[state++].data);
        scratch_.push_back(op->scratch());
    }
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
    if (!std::isfinite(window.sd) || window.sd < 0)
        fail_window("window's scale is not a number", std::to_string(window.sd), "0 or more");
}

void Session::step(const encode::PointWindow& window) noexcept {
    const FloatEnvironment environment;
    if (step_ >= model_->spec().input.steps) reset(false);
    for (size_t n = 0; n < scratch_.size(); ++n)
        if (scratch_[n] != nullptr) model_->ops()[n]->prepare(window, *scratch_[n]);
    counters_ = {};
    advance(1);
}

void Session::run(const encode::PointWindow& window) noexcept {
    const FloatEnvironment environment;
    reset(false);
    for (size_t n = 0; n < scratch_.size(); ++n)
        if (scratch_[n] != nullptr) model_->ops()[n]->prepare(window, *scratch_[n]);
    counters_ = {};
    advance(static_cast<size_t>(model_->spec().input.steps));
}

void Session::run(const void* xs, size_t count, StepSink& sink) noexcept {
    const FloatEnvironment environment;
    const ValueType& type = model_->type(0);
    const size_t row_bytes = type.columns() * type.item_size(), rows = type.rows();
    const auto* from = static_cast<const uint8_t*>(xs);
    counters_ = {};
    for (size_t first = 0; first < count; first += model_->plan().chunk_steps) {
        const size_t steps = std::min(model_->plan().chunk_steps, count - first);
        for (size_t t = 0; t < steps; ++t)
            for (size_t row = 0; row < rows; ++row, from += row_bytes) std::memcpy(address(0, t, row), from, row_bytes);
        advance(steps);
        sink.steps(first, steps);
    }
}

void Session::advance(size_t count) noexcept {
    for (const Segment& segment : model_->plan().segments) run_segment(segment, count);
    step_ += static_cast<int64_t>(count);
}

void Session::run_segment(const Segment& segment, size_t count) noexcept {
    for (size_t first = 0; first < segment.rows; first += segment.tile_rows) {
        const size_t rows = std::min(segment.tile_rows, segment.rows - first);
        for (const Entry& entry : segment.constant) run_entry(entry, first, rows, 0);
        for (size_t t = 0; t < count; ++t)
            for (const Entry& entry : segment.stepping) run_entry(entry, first, rows, t);
    }
}

void Session::run_entry(const Entry& entry, size_t first_row, size_t rows, size_t step) noexcept {
    const Op& op = *model_->ops()[entry.node];
    OpCall call{};
    for (size_t i = 0; i < entry.inputs.size(); ++i) call.inputs[i] = address(entry.inputs[i], step, first_row);
    call.output = address(entry.value, step, op.output_row(first_row));
    call.output_index = entry.output;
    call.first_row = first_row;
    call.rows = rows;
    call.step = step_ + static_cast<int64_t>(step);
    call.states = node_states_[entry.node].data();
    call.scratch = scratch_[entry.node].get();
    call.counters = &counters_;
    op.run(call);
}

void* Session::address(int value, size_t step, size_t row) const noexcept {
    const Place& at = layout_.values[static_cast<size_t>(value)];
    return base_ + at.offset + (at.local ? 0 : step * at.step_bytes + row * at.row_bytes);
}

const void* Session::value(int value, size_t step) const noexcept {
    return address(value, step, 0);
}

void Session::copy_value(int value, size_t step, void* to) const noexcept {
    const ValueType& type = model_->type(value);
    const size_t bytes = type.columns() * type.item_size();
    for (size_t row = 0; row < type.rows(); ++row)
        std::memcpy(static_cast<uint8_t*>(to) + row * bytes, address(value, step, row), bytes);
}

void Session::reset() noexcept {
    reset(true);
}

void Session::reset(bool never_too) noexcept {
    for (const StateView& view : states_)
        if (never_too || view.spec->reset == "window") std::memset(view.data, 0, state_bytes(view));
    step_ = 0;
}

void Session::save(StateWriter& writer) const {
    std::vector<uint8_t> packed;
    for (const StateView& view : states_) {
        packed.resize(view.rows * view.columns * item_size(view.spec->dtype));
        pack(view, packed.data());
        if (view.spec->dtype == Dtype::f32)
            writer.put(view.spec->name, reinterpret_cast<const float*>(packed.data()), view.spec->shape);
        else
            writer.put(view.spec->name, reinterpret_cast<const int64_t*>(packed.data()), view.spec->shape);
    }
    writer.put("step", step_);
}

void Session::load(const StateReader& reader) {
    const auto step = reader.get<int64_t>("step");
    if (step < 0 || (model_->spec().input.kind == "points" && step > model_->spec().input.steps))
        throw Error(ErrorKind::model, "snapshot's step number is not one", "step", std::to_string(step));
    for (const StateView& view : states_) {
        const StateTensor& tensor = reader.find(view.spec->name);
        const bool real = view.spec->dtype == Dtype::f32;
        if (tensor.dtype != (real ? state_dtype<float>() : state_dtype<int64_t>()) ||
            tensor.shape != view.spec->shape ||
            tensor.bytes.size() != view.rows * view.columns * item_size(view.spec->dtype))
            throw Error(ErrorKind::model, "snapshot tensor has another shape or type", view.spec->name, tensor.dtype);
    }
    for (const StateView& view : states_) unpack(reader.find(view.spec->name), view);
    step_ = step;
}

}  // namespace edgesnn::executor
