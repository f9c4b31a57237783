// Elementwise float32 and rows, scalar arm: equations in vectors.inl.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/vectors.inl"

}  // namespace edgesnn::kernels
