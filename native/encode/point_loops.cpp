#include "encode/point_loops.hpp"

#include <cstdlib>
#include <cstring>

namespace edgesnn::encode {
namespace {

const PointLoops& choose() noexcept {
    const char* arm = std::getenv("EDGESNN_ARM");
    if (arm != nullptr && std::strcmp(arm, "scalar") == 0) return point_loops__scalar();
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return point_loops__avx2();
#endif
    return point_loops__scalar();
}

}  // namespace

const PointLoops& point_loops() noexcept {
    static const PointLoops& chosen = choose();
    return chosen;
}

}  // namespace edgesnn::encode
