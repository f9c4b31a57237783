// _native.executor
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

void bind_executor(pybind11::module_& m) { m.def_submodule("executor"); }

}  // namespace edgesnn::bindings
