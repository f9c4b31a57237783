// What the tests of drawn bytes have in common: checks that are counted, and numbers put into bytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

namespace edgesnn::drawn_bytes {

inline int failures = 0;

inline void check(bool ok, const char* what) {
    if (ok) return;
    std::printf("failed: %s\n", what);
    ++failures;
}

template <typename T>
void put(std::vector<uint8_t>& out, T value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

}  // namespace edgesnn::drawn_bytes
