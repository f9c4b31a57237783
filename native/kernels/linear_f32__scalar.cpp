// float32 matrices, scalar arm: equations in linear_f32.inl.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/linear_f32.inl"

}  // namespace edgesnn::kernels
