// Types of values and how they lie in memory: rows of `stride` elements, a multiple of 16, padded with zeros.
//
// Plain: the last axis is the columns, the axes before it the rows. Channels last: the columns are the channels of an
// image [C, H, W] or a sequence [C, L], the rows its places; that is how convolutions write.
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

inline size_t item_size(Dtype dtype) noexcept {
    return dtype == Dtype::i64 ? 8 : dtype == Dtype::f32 || dtype == Dtype::i32 ? 4 : 1;
}

// Number of elements; 1 for a scalar.
size_t elements(const Shape& shape) noexcept;

enum class Kind { window, token, integer, wide, real };

struct ValueType {
    Kind kind = Kind::integer;
    Shape shape;        // window: [groups, neighbours]; token: [1]
    int64_t bound = 0;  // largest absolute value of an integer: integer at most 255, wide at most 2^31 - 1
    bool last = false;  // channels last

    size_t columns() const noexcept { return static_cast<size_t>(last ? shape.front() : shape.back()); }
    size_t rows() const noexcept { return elements(shape) / columns(); }
    size_t stride() const noexcept { return round_up(columns(), kLanes); }
    size_t item_size() const noexcept { return kind == Kind::integer ? 1 : kind == Kind::token ? 8 : 4; }
    // Where element `flat` (C order of the shape) lies.
    size_t place(size_t flat) const noexcept {
        if (!last) return flat / columns() * stride() + flat % columns();
        return flat % rows() * stride() + flat / rows();
    }
};

// "float32[4x16]", as edgesnn.graph.values.ValueType prints it.
std::string describe(const ValueType& type);

}  // namespace edgesnn::executor
