// Bins of time since an origin; the readable form is edgesnn/encode/grid.py (docs/arithmetic.md, section 10).
// Exact while |bin| * bin_us < 2^61.
#pragma once

#include <cstdint>

namespace edgesnn {

struct TimeGrid {
    int64_t bin_us = 1;
    bool nearest =
        false;  // bin b holds the times nearest to b * bin_us, halves to the even bin; else from b * bin_us on

    // The first time of a bin.
    int64_t first_us(int64_t bin) const noexcept {
        if (!nearest) return bin * bin_us;
        const int64_t twice = (2 * bin - 1) * bin_us;  // of the half before the bin, which is its own where it is even
        const bool odd_half = twice % 2 == 0 && bin % 2 != 0;
        return floor_divide(twice + 1, 2) + (odd_half ? 1 : 0);
    }

    int64_t bin(int64_t t_us) const noexcept {
        if (!nearest) return floor_divide(t_us, bin_us);
        const int64_t below = floor_divide(2 * t_us + bin_us, 2 * bin_us);
        return t_us < first_us(below) ? below - 1 : below;
    }

  private:
    static int64_t floor_divide(int64_t a, int64_t b) noexcept { return a / b - (a % b < 0 ? 1 : 0); }
};

}  // namespace edgesnn
