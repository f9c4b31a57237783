// float32 matrices, avx512vnni arm: equations in linear_f32__scalar.cpp, loops in linear_f32.inl.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/gather__avx512vnni.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx512vnni

namespace edgesnn::kernels {
namespace {

typedef float Floats __attribute__((vector_size(64)));
constexpr size_t kWide = 16;

#include "kernels/linear_f32.inl"

}  // namespace edgesnn::kernels
#endif
