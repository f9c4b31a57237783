// Small matrices with their neurons, neon arm: see nibbles_neurons.inl.
#if defined(__aarch64__)
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

#include "kernels/nibbles_neurons.inl"

}  // namespace edgesnn::kernels
#endif
