#include "executor/session.hpp"

#include <algorithm>
#include <cstring>

#include "base/float_environment.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kMostParts = 16;            // of a row's outputs, that a thread takes together
constexpr size_t kSharedElements = 1 << 14;  // of a batch's output, at least, to wake threads for
constexpr size_t kMaxStateBytes = size_t{1} << 33;

}  // namespace

struct Session::Slots {
    Session* const* sessions;  // one for all slots, or one each
    bool many;
    bool counted;  // several sessions, and one of them counts: each slot by itself
    const Workspace* workspace;
    size_t unwanted = 0;  // slots, from the first, whose outputs nobody asks for

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
        for (const OpState& state : step.op->states) states_.push_back(lay_state(specs[states_.size()], state));
    size_t bytes = kStateAlignment;
    for (const StateView& view : states_) {
        bytes += view.bytes;
        if (bytes > kMaxStateBytes)
            throw Error(ErrorKind::model, "states need too much memory", view.spec->name, "", "at most 8 GiB together");
    }
    memory_.reset(new uint8_t[bytes]);
    auto* next = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<size_t>(memory_.get()), kStateAlignment));
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
               std::all_of(specs.begin(), specs.end(), [](const StateSpec& spec) { return spec.reset != "window"; });
    reset();
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

void Session::run(const StepSource& source, size_t count, StepSink& sink, size_t wanted) {
    workspace_ = pool().take();
    Session* const self = this;
    clear_counters();
    const size_t chunk = plan_->chunk_steps, first_wanted = count - std::min(count, wanted);
    for (size_t first = 0; first < count; first += chunk) {
        const size_t steps = std::min(chunk, count - first);
        for (size_t t = 0; t < steps; ++t) source.fill(first + t, workspace_->address(0, t, 0));
        const size_t unwanted = std::min(steps, first_wanted - std::min(first_wanted, first));
        advance({&self, false, false, workspace_.get(), unwanted}, steps);
        sink.steps(*this, first, steps);
    }
    pool().give(std::move(workspace_));
}

void Session::run(const encode::SpikeWindow& window, StepSink& sink) {
    begin_window();
    run(window, 0, window.steps(), sink);
}

void Session::run(const encode::SpikeWindow& window, size_t first, size_t count, StepSink& sink) {
    const ValueType& type = model_->type(0);
    const uint32_t* indices = window.indices.data();
    const int64_t* offsets = window.offsets.data() + first;
    if (type.kind == Kind::real) return run(FrameSource(type, indices, offsets), count, sink);
    run(EventSource(type, indices, offsets, true), count, sink);
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
    if (segment.batched) {
        const Entry& entry = segment.stepping.front();
        if (!slots.counted || model_->steps()[entry.step].op->counts_alike()) return run_batch(entry, slots, count);
    }
    for (size_t slot = 0; slot < count; ++slot) {
        for (const Entry& entry : segment.stepping)
            if (!entry.passing || slot >= slots.unwanted) run_entry(entry, 0, entry.rows, slots, slot);
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
    threads_->share(
        tiles, [&](size_t tile, size_t thread) { run_tile(segment, slots, count, tile * segment.tile_rows, thread); });
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
void Session::run_batch(const Entry& entry, const Slots& slots, size_t all) noexcept {
    const size_t skipped = entry.passing ? slots.unwanted : 0, count = all - skipped, rows = count * entry.rows;
    if (count == 0) return;
    const size_t elements = rows * model_->type(entry.value).stride();
    const Op& op = *model_->steps()[entry.step].op;
    const Counters before = counters_of(slots.session(0), entry.step, 0);
    const size_t group = entry.rows;  // whole slots: an operator may join the rows of one
    if (threads_ != nullptr && rows == 1 && op.parts() != 0) {
        run_parts(op, call(entry, skipped, 1, slots, 0, 0));
    } else if (threads_ == nullptr || slots.counted || rows < threads_->threads() || elements < kSharedElements) {
        run_entry(entry, skipped * group, rows, slots, 0);
    } else {
        const size_t pieces = std::min(count, threads_->threads());
        threads_->share(pieces, [&](size_t piece, size_t thread) {
            const size_t begin = count * piece / pieces, end = count * (piece + 1) / pieces;
            run_entry(entry, (skipped + begin) * group, (end - begin) * group, slots, 0, thread);
        });
        add_counters();
    }
    if (slots.counted) share_counts(entry.step, before, slots, count);
}

// What the slots of several sessions counted together, each alike, was counted for the first one.
void Session::share_counts(size_t step, const Counters& before, const Slots& slots, size_t count) noexcept {
    Counters& first = counters_of(slots.session(0), step, 0);
    const auto slot_count = static_cast<int64_t>(count);
    const Counters each{(first.spikes - before.spikes) / slot_count, (first.synops - before.synops) / slot_count,
                        (first.macs - before.macs) / slot_count};
    first = before;
    for (size_t slot = 0; slot < count; ++slot) {
        Counters& counters = counters_of(slots.session(slot), step, 0);
        counters.spikes += each.spikes, counters.synops += each.synops, counters.macs += each.macs;
    }
}

void Session::run_entry(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t slot,
                        size_t thread) noexcept {
    const Op& op = *model_->steps()[entry.step].op;
    OpCall work = call(entry, first_row, rows, slots, slot, thread);
    if (entry.fused < 0) return op.run(work);
    const auto fused = static_cast<size_t>(entry.fused);
    OpCall next = work;
    const Op& last = *model_->steps()[fused].op;
    next.output = slots.workspace->address(entry.value, slot, last.output_row(first_row), thread);
    work.output = slots.workspace->address(model_->steps()[entry.step].first_output, slot, first_row, thread);
    next.states = slots.session(slot).step_states_[fused].data();
    next.counters = &counters_of(slots.session(slot), fused, thread);
    op.run_fused(work, last, next);
}

// The outputs of one row, shared among the threads.
void Session::run_parts(const Op& op, const OpCall& call) noexcept {
    const size_t parts = op.parts(), piece = std::min(std::max<size_t>(parts / 16, 1), kMostParts);
    op.begin_parts(call);
    threads_->share((parts + piece - 1) / piece, [&](size_t index, size_t) {
        op.run_part(call, index * piece, std::min(parts, (index + 1) * piece));
    });
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
    call.input_bits = !entry.inputs.empty() && plan_->bits[static_cast<size_t>(entry.inputs.front())];
    call.output_bits = plan_->bits[static_cast<size_t>(entry.value)];
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

void Session::reset(bool all) noexcept {
    for (const StateView& view : states_)
        if (all || view.spec->reset == "window") initialise(view);
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
    for (const StateView& view : states_) put_state(writer, view);
    writer.put("step", step_);
}

void Session::load(const StateReader& reader) {
    const auto step = reader.get<int64_t>("step");
    const InputSpec& input = model_->spec().input;
    if (step < 0 || step > (input.kind == "points" ? input.steps : kMostSteps))
        throw Error(ErrorKind::model, "snapshot's step number is not one", "step", std::to_string(step));
    for (const StateView& view : states_) check_state(reader, view);
    for (const StateView& view : states_) get_state(reader, view);
    step_ = step;
}

}  // namespace edgesnn::executor
