// The door between the pipeline and whatever runs a model: one call per window.
// NativeWindowModel (executor) is the product; a Python callback stands in for the other backends.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/state_io.hpp"
#include "encode/point_window.hpp"

namespace edgesnn::pipeline {

struct Inference {
    std::vector<float> scores;  // [classes], the readout node's output after the last step
    int64_t spikes = 0;         // all spikes of this window (an integer spike of value n counts n)
    int64_t synops = 0;         // synaptic operations by real fan-out
    int64_t macs = 0;           // multiply-adds of layers whose input is not spikes
};

class WindowModel {
  public:
    virtual ~WindowModel() = default;
    // Runs all steps over the window (the model's reset policy first). noexcept in effect: returns a Status.
    virtual Status infer(const encode::PointWindow& window, Inference& out) noexcept = 0;
    virtual void save(StateWriter& writer) const = 0;  // section "session"
    virtual void load(const StateReader& reader) = 0;  // throws Error{model}; changes nothing when it throws
};

}  // namespace edgesnn::pipeline
