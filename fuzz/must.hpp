// What a target finds, apart from the sanitizers.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace edgesnn::fuzz {

// Ends the process with a message where `holds` is false.
inline void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

}  // namespace edgesnn::fuzz
