// _native.encode
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

void bind_encode(pybind11::module_& m) { m.def_submodule("encode"); }

}  // namespace edgesnn::bindings
