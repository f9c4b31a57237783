// Small matrices with their neurons, scalar arm: see nibbles_lif.inl.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/nibbles_lif.inl"

}  // namespace edgesnn::kernels
