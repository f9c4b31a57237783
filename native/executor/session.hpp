// One stream's state over a model, and its work. One thread at a time; the caller sees to that.
//
// step, run and step_many allocate nothing once the model has workspaces, and hold a FloatEnvironment. run == so many
// times step == step_many of as many sessions, bit for bit. What they made can be read from `value` while the sink is
// told, not after the call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/state_io.hpp"
#include "base/thread_pool.hpp"
#include "encode/point_window.hpp"
#include "encode/spike_window.hpp"
#include "executor/model.hpp"
#include "executor/source.hpp"
#include "executor/state.hpp"

namespace edgesnn::executor {

class Session;

// Told after every chunk of slots: slot s, first <= s < first + count of the call, is slot s - first of the chunk.
class StepSink {
  public:
    virtual ~StepSink() = default;
    virtual void steps(const Session& reader, size_t first, size_t count) noexcept = 0;
};

class Session {
  public:
    // `recorded`: values that stay readable besides the outputs. Without `account` no counters are kept.
    // `threads` share tiles of windows, rows of many steps and outputs of large matrices: the same bits for any number.
    explicit Session(std::shared_ptr<const Model> model, std::vector<int> recorded = {}, bool account = true,
                     size_t threads = 1);

    const Model& model() const noexcept { return *model_; }

    // Kind points, a window that check_window has passed.
    void step(const encode::PointWindow& window, StepSink& sink);  // the window's next step; a new one after the last
    void run(const encode::PointWindow& window, StepSink& sink);   // a new window, all its steps
    // The other kinds: `count` steps. Outputs of the last `wanted` ones are made; what nothing but the others needs is
    // not computed, counts nothing and is not to be read by the sink.
    void run(const StepSource& source, size_t count, StepSink& sink, size_t wanted = SIZE_MAX);
    // Small integers or floats from a window of events that check_window has passed: a new window, all its steps; or
    // `count` steps from step `first` on.
    void run(const encode::SpikeWindow& window, StepSink& sink);
    void run(const encode::SpikeWindow& window, size_t first, size_t count, StepSink& sink);
    // A new window begins: states of policy "window" go back to their initial values, and so does the step number; but
    // not where there are states and none is of that policy: then the stream goes on.
    void begin_window() noexcept;
    // One step of each session, all different and of one model; slot i is session i. The first session's recorded
    // values can be read. Throws only when memory for workspaces is short.
    static void step_many(Session* const* sessions, size_t count, const StepSource& source, StepSink& sink);

    // For sinks: copies an output or recorded value of a slot without its padding, in C order of its shape.
    void copy_value(int value, size_t slot, void* to) const noexcept;

    void reset() noexcept;
    int64_t step_number() const noexcept { return step_; }
    void set_step_number(int64_t step) noexcept { step_ = step; }
    const std::vector<StateView>& states() const noexcept { return states_; }
    // Of the last call, by node; and together.
    const std::vector<Counters>& counters() const noexcept { return counters_; }
    Counters total() const noexcept;

    // The states and the step number, logical shapes, under the writer's section.
    void save(StateWriter& writer) const;
    // Throws Error{model} for a missing tensor, another type or shape, a number past its limits; changes nothing then.
    void load(const StateReader& reader);

  private:
    struct Slots;                   // what a chunk of slots works on
    void reset(bool all) noexcept;  // states of policy "window", or all
    void clear_counters() noexcept;
    void advance(Slots slots, size_t count) noexcept;
    void run_segment(const Segment& segment, const Slots& slots, size_t count) noexcept;
    void run_tiles(const Segment& segment, const Slots& slots, size_t count) noexcept;
    void run_tile(const Segment& segment, const Slots& slots, size_t count, size_t first, size_t thread) noexcept;
    void run_constant(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t count,
                      size_t thread) noexcept;
    void run_batch(const Entry& entry, const Slots& slots, size_t count) noexcept;
    void share_counts(size_t step, const Counters& before, const Slots& slots, size_t count) noexcept;
    void run_entry(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t slot,
                   size_t thread = 0) noexcept;
    void run_parts(const Op& op, const OpCall& call) noexcept;
    OpCall call(const Entry& entry, size_t first_row, size_t rows, const Slots& slots, size_t slot,
                size_t thread) noexcept;
    void add_counters() noexcept;
    Counters& counters_of(Session& session, size_t step, size_t thread) noexcept;
    void prepare(const encode::PointWindow& window) noexcept;
    WorkspacePool& pool() const noexcept { return own_ == nullptr ? model_->workspaces() : *own_; }

    std::shared_ptr<const Model> model_;
    const Plan* plan_;                      // of the model
    std::unique_ptr<WorkspacePool> own_;    // where values are recorded
    std::unique_ptr<Workspace> workspace_;  // of the call
    std::unique_ptr<uint8_t[]> memory_;     // of the states
    std::vector<StateView> states_;
    std::vector<std::vector<void*>> step_states_;  // by the model's steps
    bool goes_on_ = false;                         // from window to window: no state is of policy "window"
    std::vector<Counters> counters_;               // by node; the last is for calls that are not counted
    std::vector<std::vector<Counters>> others_;    // of the threads but the first
    std::unique_ptr<ThreadPool> threads_;
    bool account_;
    int64_t step_ = 0;
};

}  // namespace edgesnn::executor
