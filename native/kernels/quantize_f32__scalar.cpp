// Quantised rows, scalar arm: equations in kernels.hpp, loops in quantize_f32.inl.
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/quantize_f32.inl"

}  // namespace edgesnn::kernels
