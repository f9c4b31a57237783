#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

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
#endif

using Arms = std::array<const Table*, 3>;

Arms runnable() noexcept {
    Arms arms{&kScalar, nullptr, nullptr};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) arms[1] = &kAvx2;
#endif
    return arms;
}

const Table& choose() {
    const char* wanted = std::getenv("EDGESNN_ARM");
    const Table* best = nullptr;
    std::string names;
    for (const Table* const* arm = tables(); *arm != nullptr; ++arm) {
        if (wanted != nullptr && std::strcmp(wanted, (*arm)->arm) == 0) return **arm;
        names += (best == nullptr ? "" : ", ") + std::string((*arm)->arm);
        best = *arm;
    }
    if (wanted != nullptr && *wanted != '\0')
        throw Error(ErrorKind::backend, "instruction-set arm is not known or cannot run here", "EDGESNN_ARM", wanted,
                    names);
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
