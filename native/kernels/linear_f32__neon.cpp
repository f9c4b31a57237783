// float32 matrices, neon arm: equations in linear_f32__scalar.cpp, loops in linear_f32.inl.
#if defined(__aarch64__)
#include <cstring>

#include "kernels/gather__neon.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

typedef float Floats __attribute__((vector_size(16)));
constexpr size_t kWide = 16;

#include "kernels/linear_f32.inl"

}  // namespace edgesnn::kernels
#endif
