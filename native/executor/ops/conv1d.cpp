// conv1d: see convolution.cpp.
#include "executor/ops/convolution.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_conv1d(const NodeView& view) {
    return make_convolution(view, 1);
}

}  // namespace edgesnn::executor
