// Quantised rows, avx2 arm: equations in kernels.hpp, loops in quantize_f32.inl.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

#include "kernels/quantize_f32.inl"

}  // namespace edgesnn::kernels
#endif
