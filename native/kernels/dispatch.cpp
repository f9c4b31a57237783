#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/error.hpp"
#include "kernels/arms.hpp"

namespace edgesnn::kernels {
namespace {

#define EDGESNN_ENTRY(name, type) name##__scalar,
constexpr Table kScalar{"scalar", EDGESNN_KERNELS(EDGESNN_ENTRY)};
#undef EDGESNN_ENTRY

#if defined(__x86_64__)
#define EDGESNN_ENTRY(name, type) name##__avx2,
constexpr Table kAvx2{"avx2", EDGESNN_KERNELS(EDGESNN_ENTRY)};
#undef EDGESNN_ENTRY
#define EDGESNN_ENTRY(name, type) name##__avx512vnni,
constexpr Table kAvx512Vnni{"avx512_vnni", EDGESNN_KERNELS(EDGESNN_ENTRY)};
#undef EDGESNN_ENTRY

bool has_avx512_vnni() noexcept {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("bmi");
}
#endif

#if defined(__aarch64__)
#define EDGESNN_ENTRY(name, type) name##__neon,
constexpr Table kNeon{"neon_dotprod", EDGESNN_KERNELS(EDGESNN_ENTRY)};
#undef EDGESNN_ENTRY

bool has_dotprod() noexcept {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return false;
#endif
}
#endif

using Arms = std::array<const Table*, 4>;  // ascending; a null pointer ends them

Arms runnable() noexcept {
    Arms arms{&kScalar};
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) return arms;
    arms[1] = &kAvx2;
    if (has_avx512_vnni()) arms[2] = &kAvx512Vnni;
#elif defined(__aarch64__)
    if (has_dotprod()) arms[1] = &kNeon;
#endif
    return arms;
}

constexpr std::size_t kShown = 64;  // bytes of a name that is none: the environment's may have any length

const Table& choose() {
    const char* wanted = std::getenv("EDGESNN_ARM");
    const Table* best = nullptr;
    std::string names;
    for (const Table* const* arm = tables(); *arm != nullptr; ++arm) {
        if (wanted != nullptr && std::strcmp(wanted, (*arm)->arm) == 0) return **arm;
        names += (best == nullptr ? "" : ", ") + std::string((*arm)->arm);
        best = *arm;
    }
    if (wanted != nullptr && *wanted != '\0') {
        const std::string found = std::strlen(wanted) > kShown ? std::string(wanted, kShown) + "..." : wanted;
        throw Error(ErrorKind::backend, "instruction-set arm is not known or cannot run here", "EDGESNN_ARM", found,
                    names);
    }
    return *best;
}

}  // namespace

const Table* const* tables() noexcept {
    static const Arms arms = runnable();
    return arms.data();
}

const Table& table() {
    static const Table& chosen = choose();
    return chosen;
}

}  // namespace edgesnn::kernels
