// Elementwise float32 and rows, neon arm: equations in vectors.inl.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

#include "kernels/vectors.inl"

}  // namespace edgesnn::kernels
#endif
