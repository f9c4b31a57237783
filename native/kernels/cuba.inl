// Integer neurons; included by cuba__<arm>.cpp. u = dec(u, current_decay) + gain * x; v = dec(v, voltage_decay) + u;
// fires where v > v_th (or >=), then v = 0. dec(q, d) = q * (4096 - d) / 4096 truncated toward zero.
//
// In float64 every number here is whole and exact: |q| < 2^31, so |q * 4096| < 2^43; |gain * x| <= 2^40 is checked at
// load. u and v are clamped to +-(2^31 - 1).

constexpr double kLargest = 2147483647.0;

inline double clamp(double x) noexcept {
    x = x < kLargest ? x : kLargest;
    return x > -kLargest ? x : -kLargest;
}

inline int32_t decay(int32_t q, double keep) noexcept {
    return static_cast<int32_t>(static_cast<double>(q) * keep * (1.0 / 4096));
}

// Sixteen neurons; x already times gain.
inline uint32_t sixteen(const Cuba& c, const double* x, int32_t* u, int32_t* v, uint8_t* s) noexcept {
    const double keep_u = 4096 - c.current_decay, keep_v = 4096 - c.voltage_decay;
    int32_t fired[16], next[16];
    for (size_t j = 0; j < 16; ++j) u[j] = static_cast<int32_t>(clamp(static_cast<double>(decay(u[j], keep_u)) + x[j]));
    for (size_t j = 0; j < 16; ++j)
        next[j] = static_cast<int32_t>(clamp(static_cast<double>(decay(v[j], keep_v)) + static_cast<double>(u[j])));
    for (size_t j = 0; j < 16; ++j) fired[j] = next[j] > c.above ? 1 : 0;
    for (size_t j = 0; j < 16; ++j) v[j] = fired[j] != 0 ? 0 : next[j];
    uint32_t sum = 0;
    for (size_t j = 0; j < 16; ++j) {
        s[j] = static_cast<uint8_t>(fired[j]);
        sum += static_cast<uint32_t>(fired[j]);
    }
    return sum;
}

template <typename In>
inline uint64_t update(const Cuba& c, const In* x, size_t n, int32_t* u, int32_t* v, uint8_t* s) noexcept {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i += 16) {
        double scaled[16];
        for (size_t j = 0; j < 16; ++j) scaled[j] = static_cast<double>(x[i + j]) * c.gain;
        sum += sixteen(c, scaled, u + i, v + i, s + i);
    }
    return sum;
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(cuba)(const Cuba& c, const void* x, size_t n, int32_t* u, int32_t* v, uint8_t* s) noexcept {
    return c.wide ? update(c, static_cast<const int32_t*>(x), n, u, v, s)
                  : update(c, static_cast<const uint8_t*>(x), n, u, v, s);
}
