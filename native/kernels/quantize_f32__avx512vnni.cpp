// Quantised rows, avx512vnni arm: equations in kernels.hpp, loops in quantize_f32.inl.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx512vnni

namespace edgesnn::kernels {
namespace {

#include "kernels/quantize_f32.inl"

}  // namespace edgesnn::kernels
#endif
