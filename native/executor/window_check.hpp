// Windows that a model can take. Throws Error{model} for another; Session::step and run rely on it.
#pragma once

#include "encode/point_window.hpp"
#include "encode/spike_window.hpp"
#include "executor/model.hpp"

namespace edgesnn::executor {

void check_window(const Model& model, const encode::PointWindow& window);
void check_window(const Model& model, const encode::SpikeWindow& window);

}  // namespace edgesnn::executor
