// float32 matrices, avx2 arm: equations in linear_f32__scalar.cpp, loops in linear_f32.inl.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/gather__avx2.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx2

namespace edgesnn::kernels {
namespace {

typedef float Floats __attribute__((vector_size(32)));
constexpr size_t kWide = 8;

#include "kernels/linear_f32.inl"

}  // namespace edgesnn::kernels
#endif
