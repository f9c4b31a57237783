// Small matrices with their neurons, avx2 arm: see nibbles_neurons.inl.
#if defined(__x86_64__)
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

#include "kernels/nibbles_neurons.inl"

}  // namespace edgesnn::kernels
#endif
