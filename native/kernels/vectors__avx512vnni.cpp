// Elementwise float32 and rows, avx512vnni arm: equations in vectors.inl.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx512vnni

namespace edgesnn::kernels {
namespace {

#include "kernels/vectors.inl"

}  // namespace edgesnn::kernels
#endif
