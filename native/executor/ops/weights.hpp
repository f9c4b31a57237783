// The weight of a linear or a convolution with its scale and bias: checked, in the form in which kernels read it.
#pragma once

#include "executor/op.hpp"

namespace edgesnn::executor {

enum class Number { f32, i8, i4 };

// Of an int4 matrix in layout om16x8.
struct Groups {
    const uint8_t* multipliers;  // [groups][stride]
    size_t stride, size;         // from one group to the next; inputs of a group
};

// Reads the node's multipliers for groups of `size` inputs. Throws Error{model}.
Groups read_groups(const NodeView& view, const TensorSpec& weight, int64_t size);

struct Weights {
    Weights() = default;
    // Reads the node's tensors and the attributes `activations`, `output`, `group`. Throws Error{model}.
    // Integer weights with activations "float32" become floats: w' = float32(m * w) * scale, and a scale of one. Small
    // int4 weights of integers become int8: the half that they would save is not read from beyond a first-level cache.
    explicit Weights(const NodeView& view);

    Number number = Number::f32;  // as the kernels read it
    std::string activations;      // "int", "float32", "int8"
    bool wide = false;            // the output is the bare int32 sum
    int64_t largest = 0;          // |sum| at most, where wide
    int64_t outputs = 0, inputs = 0;
    size_t stride = 0;  // elements from one row of an input-major weight to the next
    size_t group = 0;   // of multipliers, 0 for none
    const void* data = nullptr;
    const uint8_t* multipliers = nullptr;  // [groups][stride of scale]
    std::vector<float> scale, bias;        // padded; empty where wide
    bool scaled = false;                   // the scale is in the weights

  private:
    void check_range(const NodeView& view, const TensorSpec& weight) const;
    void check_sums(const NodeView& view) const;
    void spread_scale(const NodeView& view, const TensorSpec& weight);
    void unpack(const NodeView& view, const TensorSpec& weight);

    std::vector<float> floats_;  // weights that were scaled
    std::vector<int8_t> bytes_;  // weights that were unpacked
};

}  // namespace edgesnn::executor
