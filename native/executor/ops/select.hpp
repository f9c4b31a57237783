// Elements of a value chosen along an axis: what slice and gather have in common.
#pragma once

#include <vector>

#include "executor/moves.hpp"
#include "executor/op.hpp"

namespace edgesnn::executor {

// Indices that follow one another.
struct IndexRun {
    uint32_t first, count;
};

// y[.., i, ..] = x[.., indices[i], ..]; the indices were checked.
class Select final : public Op {
  public:
    Select(const ValueType& x, size_t axis, std::vector<IndexRun> indices);
    bool rowwise() const noexcept override { return false; }
    void run(const OpCall& call) const noexcept override;

  private:
    static ValueType chosen(ValueType x, size_t axis, const std::vector<IndexRun>& indices);

    std::vector<IndexRun> indices_;
    AxisPlaces from_, to_;
};

}  // namespace edgesnn::executor
