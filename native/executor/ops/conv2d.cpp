// conv2d: see convolution.cpp.
#include "executor/ops/convolution.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_conv2d(const NodeView& view) {
    return make_convolution(view, 2);
}

}  // namespace edgesnn::executor
