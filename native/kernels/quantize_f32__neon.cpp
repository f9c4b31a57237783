// Quantised rows, neon arm: equations in kernels.hpp, loops in quantize_f32.inl.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

#include "kernels/quantize_f32.inl"

}  // namespace edgesnn::kernels
#endif
