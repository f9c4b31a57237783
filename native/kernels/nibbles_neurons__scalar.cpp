// Small matrices with their neurons, scalar arm: see nibbles_neurons.inl.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/nibbles_neurons.inl"

}  // namespace edgesnn::kernels
