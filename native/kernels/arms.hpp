// Declarations of every kernel of every arm, from the list in kernels.hpp.
#pragma once

#include "kernels/kernels.hpp"

// What must end up in the caller's loop, with the caller's constants and in its registers.
#define EDGESNN_INLINE inline __attribute__((always_inline))

namespace edgesnn::kernels {

#define EDGESNN_DECLARE(name, type) type name##__scalar;
EDGESNN_KERNELS(EDGESNN_DECLARE)
#undef EDGESNN_DECLARE

#if defined(__x86_64__)
#define EDGESNN_DECLARE(name, type) \
    type name##__avx2;              \
    type name##__avx512vnni;
EDGESNN_KERNELS(EDGESNN_DECLARE)
#undef EDGESNN_DECLARE
#endif

#if defined(__aarch64__)
#define EDGESNN_DECLARE(name, type) type name##__neon;
EDGESNN_KERNELS(EDGESNN_DECLARE)
#undef EDGESNN_DECLARE
#endif

}  // namespace edgesnn::kernels
