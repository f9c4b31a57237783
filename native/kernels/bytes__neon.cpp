// Bytes, neon arm: equations in bytes.inl.
#if defined(__aarch64__)
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__neon

namespace edgesnn::kernels {

#include "kernels/bytes.inl"

}  // namespace edgesnn::kernels
#endif
