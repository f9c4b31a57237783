// Elements of a value chosen along an axis: what slice and gather have in common.
#pragma once

#include "executor/moves.hpp"
#include "executor/op.hpp"

namespace edgesnn::executor {

// y[.., i, ..] = x[.., indices[i], ..]; the indices were checked.
class Select final : public Op {
  public:
    Select(const ValueType& x, size_t axis, const std::vector<size_t>& indices);
    bool rowwise() const noexcept override { return false; }
    void run(const OpCall& call) const noexcept override;

  private:
    Moves moves_;
};

}  // namespace edgesnn::executor
