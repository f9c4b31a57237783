// The executor behind the pipeline's door: one call per window.
#pragma once

#include <memory>

#include "executor/model.hpp"
#include "pipeline/window_model.hpp"

namespace edgesnn::executor {

// A new session over the model. Throws Error{model} unless the model takes points and has a readout.
std::unique_ptr<pipeline::WindowModel> make_window_model(std::shared_ptr<const Model> model);

}  // namespace edgesnn::executor
