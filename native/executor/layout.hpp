// How tensors lie in a file and in memory: docs/model-file.md, "Tensors".
#pragma once

#include "executor/spec.hpp"

namespace edgesnn::executor {

// Whether a tensor's plain and stored shapes go together in its layout, and no size is out of bounds.
bool layout_fits(const TensorSpec& tensor);

// One number of an integer matrix [N, K] whose layout fits; nibbles without their bias.
int32_t integer_at(const TensorSpec& matrix, size_t n, size_t k);

// Whether everything stored beyond the plain tensor is zero: operators read it. The layout must fit.
bool padding_is_zero(const TensorSpec& tensor);

}  // namespace edgesnn::executor
