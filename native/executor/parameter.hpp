// A parameter vector, as neurons read it: the same for each row, or for each place. Where that would take much more
// memory than the tensor (a small file may name a large value), it is not spread, but read as it is stored, a block of
// columns at a time.
#pragma once

#include <cstddef>
#include <vector>

#include "executor/value.hpp"

namespace edgesnn::executor {

class Parameter {
  public:
    static constexpr size_t kBlock = 1024;  // columns; a multiple of kLanes

    Parameter() = default;
    // `stored` holds `count` numbers, which outlive this: 1, the channels on `axis` of `type`, or all elements.
    // `padding` stands in the padding of rows. Spread where that takes no more than `spare` bytes, which become fewer.
    Parameter(const float* stored, size_t count, const ValueType& type, size_t axis, float padding, size_t& spare);

    bool given() const noexcept { return stored_ != nullptr; }
    bool spread() const noexcept { return !values_.empty(); }
    // One row stands for all, or none is given.
    bool uniform() const noexcept { return !given() || (spread() && step_ == 0); }
    // A row that is spread, else null.
    const float* row(size_t row) const noexcept { return spread() ? values_.data() + row * step_ : nullptr; }
    // `length` columns of a row from `first` on, both multiples of kLanes, at most kBlock; null where none is given.
    // They are written to `to` where they are not spread.
    const float* block(size_t row, size_t first, size_t length, float* to) const noexcept;

  private:
    bool same_rows() const noexcept;
    void copy(size_t row, size_t first, size_t length, float* to) const noexcept;

    const float* stored_ = nullptr;
    size_t channels_ = 1, inner_ = 1;  // the number of element i, in C order, is stored_[i / inner_ % channels_]
    size_t rows_ = 0, columns_ = 0, stride_ = 0;
    bool last_ = false;
    float padding_ = 0.0F;
    std::vector<float> values_;  // [stride], [rows][stride], or none
    size_t step_ = 0;            // from one row to the next: 0 or stride
};

}  // namespace edgesnn::executor
