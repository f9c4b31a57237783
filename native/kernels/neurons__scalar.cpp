// Neurons with flags, scalar arm: equations in neuron_update.inl.
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/neurons.inl"

}  // namespace edgesnn::kernels
