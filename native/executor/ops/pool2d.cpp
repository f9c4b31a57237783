// pool2d: see pooling.cpp.
#include "executor/ops/pooling.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_pool2d(const NodeView& view) {
    return make_pooling(view, 2);
}

}  // namespace edgesnn::executor
