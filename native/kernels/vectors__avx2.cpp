// Elementwise float32 and rows, avx2 arm: equations in vectors.inl.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

#include "kernels/vectors.inl"

}  // namespace edgesnn::kernels
#endif
