// The door between the pipeline and whatever runs a model: one call per window.
// The executor (executor_model.hpp) is the product; a Python callback stands in for the other backends.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/state_io.hpp"
#include "encode/encoder.hpp"

namespace edgesnn::pipeline {

struct Inference {
    std::vector<float> scores;  // [classes], the readout node's output after the last step that was done
    int64_t steps = 0;          // that were done: fewer than the window's where the readout's early exit stopped it
    int64_t spikes = 0;         // all spikes of this window (an integer spike of value n counts n)
    int64_t synops = 0;         // synaptic operations by real fan-out
    int64_t macs = 0;           // multiply-adds of layers whose input is not spikes
};

class WindowModel {
  public:
    virtual ~WindowModel() = default;
    // Runs the steps of a window of the model's kind (its reset policy first).
    virtual Status infer(const encode::Encoded& window, Inference& out) noexcept = 0;
    virtual void save(StateWriter& writer) const = 0;  // section "session"
    virtual void load(const StateReader& reader) = 0;  // throws Error{model}; changes nothing when it throws
    virtual void reset() = 0;                          // every state, whatever its reset policy
};

}  // namespace edgesnn::pipeline
