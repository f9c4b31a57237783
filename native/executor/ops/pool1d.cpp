// pool1d: see pooling.cpp.
#include "executor/ops/pooling.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_pool1d(const NodeView& view) {
    return make_pooling(view, 1);
}

}  // namespace edgesnn::executor
