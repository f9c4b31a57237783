// Types of values and how they lie in memory: rows of `stride` elements, a multiple of 16, padded with zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "executor/spec.hpp"

namespace edgesnn::executor {

constexpr size_t kLanes = 16;
constexpr int64_t kMaxElements = int64_t{1} << 28;  // of a value or state

inline size_t round_up(size_t value, size_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

enum class Kind { window, integer, real };

struct ValueType {
    Kind kind = Kind::integer;
    Shape shape;        // window: [groups, neighbours]
    int64_t bound = 0;  // largest value of an integer, at most 255

    size_t columns() const noexcept { return static_cast<size_t>(shape.back()); }
    size_t rows() const noexcept {
        size_t rows = 1;
        for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= static_cast<size_t>(shape[i]);
        return rows;
    }
    size_t stride() const noexcept { return round_up(columns(), kLanes); }
    size_t item_size() const noexcept { return kind == Kind::real ? sizeof(float) : 1; }
};

// "float32[4x16]", as edgesnn.graph.values.ValueType prints it.
std::string describe(const ValueType& type);

}  // namespace edgesnn::executor
