// Small matrices with their neurons, neon arm: see nibbles_lif.inl.
#if defined(__aarch64__)
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {
namespace {

#include "kernels/nibbles_lif.inl"

}  // namespace edgesnn::kernels
#endif
