// What pool1d and pool2d have in common: a sequence is an image of height 1.
#pragma once

#include "executor/op.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_pooling(const NodeView& view, size_t axes);

}  // namespace edgesnn::executor
