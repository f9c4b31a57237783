// Convolutions, scalar arm: equations in conv.inl.
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/conv.inl"

}  // namespace edgesnn::kernels
