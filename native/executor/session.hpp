// One stream's state over a model, and its work. One thread at a time; the caller sees to that.
//
// step and run allocate nothing, throw nothing and hold a FloatEnvironment. run == so many times step, bit for bit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/state_io.hpp"
#include "encode/point_window.hpp"
#include "executor/model.hpp"

namespace edgesnn::executor {

// A state seen from outside: rows of `columns` elements, `stride` apart.
struct StateView {
    const StateSpec* spec;
    void* data;
    size_t rows, columns, stride;
};

// Told after every chunk of steps that values of these steps can be read; noexcept in effect.
class StepSink {
  public:
    virtual ~StepSink() = default;
    virtual void steps(size_t first, size_t count) noexcept = 0;
};

class Session {
  public:
    // `recorded`: values that stay readable besides the outputs.
    explicit Session(std::shared_ptr<const Model> model, std::vector<int> recorded = {});

    const Model& model() const noexcept { return *model_; }

    // Kind points. check throws Error{model} for a window that the model cannot take; step and run rely on it.
    void check(const encode::PointWindow& window) const;
    void step(const encode::PointWindow& window) noexcept;  // the window's next step; a new window after the last one
    void run(const encode::PointWindow& window) noexcept;   // a new window, all its steps
    // Kind dense: `count` steps of input.shape, uint8 or float32, C-contiguous, integers within the bound.
    void run(const void* xs, size_t count, StepSink& sink) noexcept;

    // Row 0 of an output or recorded value at step `step` of the last call (kind points) or chunk (kind dense).
    const void* value(int value, size_t step) const noexcept;
    // Copies that value without its padding: type(value).rows() * columns() elements.
    void copy_value(int value, size_t step, void* to) const noexcept;

    void reset() noexcept;
    int64_t step_number() const noexcept { return step_; }
    void set_step_number(int64_t step) noexcept { step_ = step; }
    const std::vector<StateView>& states() const noexcept { return states_; }
    const Counters& counters() const noexcept { return counters_; }

    // The states and the step number, logical shapes, under the writer's section.
    void save(StateWriter& writer) const;
    // Throws Error{model} for a missing tensor, another type or shape; changes nothing then.
    void load(const StateReader& reader);

  private:
    void reset(bool never_too) noexcept;  // states of policy "window", or those of "never" too
    void advance(size_t count) noexcept;
    void run_segment(const Segment& segment, size_t count) noexcept;
    void run_entry(const Entry& entry, size_t first_row, size_t rows, size_t step) noexcept;
    void* address(int value, size_t step, size_t row) const noexcept;

    std::shared_ptr<const Model> model_;
    Layout layout_;  // where values and states lie in memory_
    std::unique_ptr<uint8_t[]> memory_;
    uint8_t* base_ = nullptr;
    std::vector<StateView> states_;
    std::vector<std::vector<void*>> node_states_;  // by node
    std::vector<std::unique_ptr<Scratch>> scratch_;
    Counters counters_;
    int64_t step_ = 0;
};

}  // namespace edgesnn::executor
