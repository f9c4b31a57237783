// Neurons with flags, avx2 arm: equations in neuron_update.inl.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

#include "kernels/neurons.inl"

}  // namespace edgesnn::kernels
#endif
