// Our own float32 exponential and lane sum: the same bits everywhere (docs/arithmetic.md, sections 5 and 6).
// The numpy twins are in edgesnn/runtime/arithmetic.py. Callers hold a FloatEnvironment; every file is compiled with
// -ffp-contract=off.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace edgesnn {

// 2^n for n in [-126, 127].
inline float power_of_two(int32_t n) noexcept {
    const uint32_t bits = static_cast<uint32_t>(n + 127) << 23;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// Within 1 ulp. NaN gives NaN.
inline float exp32(float x) noexcept {
    if (x < -87.33654f) return 0.0f;
    if (x > 88.72283f) return std::numeric_limits<float>::infinity();
    if (!(x == x)) return x;
    const float n = std::rint(x * 1.44269504f);
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const float y = (p * (r * r) + r) + 1.0f;
    const int32_t k = static_cast<int32_t>(n);
    return (y * power_of_two(k >> 1)) * power_of_two(k - (k >> 1));
}

// Sixteen lanes: lane j takes elements j, j+16, ... in order, then lanes j and j+8, +4, +2, +1 are added.
inline float lane_sum(const float* values, size_t n) noexcept {
    float lanes[16] = {};
    for (size_t i = 0; i < n; ++i) lanes[i % 16] = lanes[i % 16] + values[i];
    for (size_t width = 8; width != 0; width /= 2)
        for (size_t j = 0; j < width; ++j) lanes[j] = lanes[j] + lanes[j + width];
    return lanes[0];
}

// values <- exp32(values - max) / lane sum. n >= 1.
inline void softmax32(float* values, size_t n) noexcept {
    float largest = values[0];
    for (size_t i = 1; i < n; ++i) largest = values[i] > largest ? values[i] : largest;
    for (size_t i = 0; i < n; ++i) values[i] = exp32(values[i] - largest);
    const float total = lane_sum(values, n);
    for (size_t i = 0; i < n; ++i) values[i] = values[i] / total;
}

}  // namespace edgesnn
