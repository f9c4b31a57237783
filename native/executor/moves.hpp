// Copies of elements between places that were worked out at load: values of another shape, order or memory layout.
#pragma once

#include <vector>

#include "executor/value.hpp"

namespace edgesnn::executor {

class Moves {
  public:
    // Element i of the copy goes from place from[i] of one value to place to[i] of another.
    void add(size_t from, size_t to) {
        from_.push_back(static_cast<uint32_t>(from));
        to_.push_back(static_cast<uint32_t>(to));
    }
    // `item` bytes an element: 1, 4 or 8.
    void copy(size_t item, const void* from, void* to) const noexcept;

  private:
    std::vector<uint32_t> from_, to_;
};

// Zeroes a value where it has padding; otherwise all of it is about to be written.
void clear_padding(const ValueType& type, void* value) noexcept;

}  // namespace edgesnn::executor
