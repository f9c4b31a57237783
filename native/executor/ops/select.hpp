// Elements of a value chosen along an axis: what slice and gather have in common.
#pragma once

#include "executor/op.hpp"

namespace edgesnn::executor {

// y[.., i, ..] = x[.., indices[i], ..]; the indices were checked.
class Select : public Op {
  public:
    Select(const ValueType& x, size_t axis, std::vector<size_t> indices);
    bool rowwise() const noexcept override { return false; }
    void run(const OpCall& call) const noexcept override;

  private:
    ValueType from_;
    std::vector<size_t> indices_;
    size_t inner_ = 1, length_;  // elements after the axis, and along it
};

}  // namespace edgesnn::executor
