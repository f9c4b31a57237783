// float32 matrices, avx2 arm: equations in linear_f32.inl.
#if defined(__x86_64__)
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

#include "kernels/linear_f32.inl"

}  // namespace edgesnn::kernels
#endif
