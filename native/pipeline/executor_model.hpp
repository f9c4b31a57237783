// The executor behind the pipeline's door: one call per window.
#pragma once

#include <memory>

#include "executor/model.hpp"
#include "pipeline/decide.hpp"
#include "pipeline/window_model.hpp"

namespace edgesnn::pipeline {

// A new session over the model. The readout's early exit, where it is on, stops a window step by step; its states must
// then be reset by windows. Throws Error{model} unless the model takes windows of events and has a readout.
std::unique_ptr<WindowModel> make_window_model(std::shared_ptr<const executor::Model> model, const Readout& readout);

}  // namespace edgesnn::pipeline
