// Neurons with flags, neon arm: equations in neuron_update.inl.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

#include "kernels/neurons.inl"

}  // namespace edgesnn::kernels
#endif
