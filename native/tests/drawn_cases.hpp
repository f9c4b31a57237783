#pragma once
#include <algorithm>
#include <cstdlib>

// How many of its drawn cases a test runs: all, or one in EDGESNN_TEST_SHARE where that is set (under emulation).
inline unsigned drawn_cases(unsigned all) {
    const char* share = std::getenv("EDGESNN_TEST_SHARE");
    const int one_in = share == nullptr ? 1 : std::atoi(share);
    return std::max(1U, all / static_cast<unsigned>(std::max(1, one_in)));
}
