// Reads memory as quickly as one core can: the time of it is the limit that the benches set kernels and models against.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgesnn {

#if defined(__x86_64__)
#define EDGESNN_WIDE __attribute__((target("avx2")))
#else
#define EDGESNN_WIDE
#endif
typedef uint64_t Wide __attribute__((vector_size(32)));

// Reads whole 256-byte pieces. The machine has AVX2: every x86-64 arm but the scalar one needs it.
EDGESNN_WIDE inline uint64_t read_all(const char* data, size_t bytes) {
    Wide sums[8] = {};
    const auto* from = reinterpret_cast<const Wide*>(data);
    for (size_t i = 0; i + 8 <= bytes / sizeof(Wide); i += 8)
        for (size_t j = 0; j < 8; ++j) sums[j] ^= from[i + j];
    for (size_t j = 1; j < 8; ++j) sums[0] ^= sums[j];
    return sums[0][0] ^ sums[0][1] ^ sums[0][2] ^ sums[0][3];
}

}  // namespace edgesnn
