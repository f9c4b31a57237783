// Bytes, avx512vnni arm: equations in bytes.inl.
#if defined(__x86_64__)
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__avx512vnni

namespace edgesnn::kernels {

#include "kernels/bytes.inl"

}  // namespace edgesnn::kernels
#endif
