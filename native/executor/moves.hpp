// Copies of values into another shape, order or memory layout. What is kept for one does not grow with the values: a
// small file may name a large value.
#pragma once

#include "executor/value.hpp"

namespace edgesnn::executor {

// How the elements of a value lie, in C order: runs of `length`, each `step` apart; a run begins `next` after the last.
struct Runs {
    Runs() = default;
    explicit Runs(const ValueType& type);
    size_t length = 0, step = 1, next = 0;
};

// The same elements in C order, of another shape or layout.
class Reorder {
  public:
    Reorder() = default;
    // As many elements of the same kind.
    Reorder(const ValueType& from, const ValueType& to);
    void copy(const void* from, void* to) const noexcept;

  private:
    size_t count_ = 0, item_ = 1;
    Runs from_, to_;
};

// How a value lies around an axis: `blocks` times, `block` elements apart, its indices of `step` elements each.
struct AxisPlaces {
    AxisPlaces(const ValueType& type, size_t axis);
    size_t blocks, block, step, item;
};

// Indices `first` .. `first + count - 1` of x's axis go to `to` .. of y's. All other axes are the same.
void copy_indices(const AxisPlaces& from, const void* x, size_t first, size_t count, const AxisPlaces& to_places,
                  void* y, size_t to) noexcept;

// Zeroes a value where it has padding; otherwise all of it is about to be written.
void clear_padding(const ValueType& type, void* value) noexcept;

}  // namespace edgesnn::executor
