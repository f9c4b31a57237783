// What conv1d and conv2d have in common: a sequence is an image of height 1.
#pragma once

#include "executor/op.hpp"

namespace edgesnn::executor {

// Kernel size, stride, padding, dilation of one axis.
struct Axis {
    int64_t size, kernel, stride, padding, dilation;

    int64_t places() const noexcept { return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; }
};

// Throws Error{model} for sizes that give no output or one that is too large.
void check_axis(const NodeView& view, const Axis& axis);

std::unique_ptr<Op> make_convolution(const NodeView& view, size_t axes);

}  // namespace edgesnn::executor
