// _native.events
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

void bind_events(pybind11::module_& m) { m.def_submodule("events"); }

}  // namespace edgesnn::bindings
