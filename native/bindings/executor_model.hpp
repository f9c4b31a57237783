// A validated edgesnn.graph.Document, read into the executor's plain structs.
#pragma once

#include <memory>

#include "bindings/bindings.hpp"
#include "executor/spec.hpp"

namespace edgesnn::bindings {

// Reads the dictionary that edgesnn/runtime/backends/native.py makes. The spec keeps the arrays alive.
executor::ModelSpec model_spec(const pybind11::dict& source);

}  // namespace edgesnn::bindings
