// _native.pipeline
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

void bind_pipeline(pybind11::module_& m) { m.def_submodule("pipeline"); }

}  // namespace edgesnn::bindings
