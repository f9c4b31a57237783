// Integer neurons, scalar arm: equations in cuba.inl.
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/cuba.inl"

}  // namespace edgesnn::kernels
