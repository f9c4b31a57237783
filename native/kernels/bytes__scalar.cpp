// Bytes, scalar arm: equations in bytes.inl.
#include <cstring>

#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {

#include "kernels/bytes.inl"

}  // namespace edgesnn::kernels
