// Integer neurons; included by cuba__<arm>.cpp. u = dec(u, current_decay) + gain * x; v = dec(v, voltage_decay) + u;
// fires where v > v_th (or >=), then v = 0. dec(q, d) = q * (4096 - d) / 4096 truncated toward zero.
//
// In 32 bits: with |q| = 4096 h + l, |q| (4096 - d) / 4096 is h (4096 - d) + (l (4096 - d) >> 12), below 2^32. |gain *
// x| < 2^31 is checked at load. u and v are clamped to +-(2^31 - 1).

#include "kernels/lanes16.inl"

constexpr int32_t kLargest = 2147483647;

inline void decay(Masks& q, uint32_t keep) noexcept {
    Words word, sign;
    const Masks signs = q >> 31;
    load(sign, &signs);
    load(word, &q);
    const Words size = (word ^ sign) - sign;
    const Words kept = (size >> 12) * keep + (((size & 4095) * keep) >> 12);
    const Words result = (kept ^ sign) - sign;
    load(q, &result);
}

// a + b, clamped.
inline void add_clamped(Masks& a, const Masks& b) noexcept {
    Words x, y;
    load(x, &a);
    load(y, &b);
    const Words wrapped = x + y;
    Masks sum;
    load(sum, &wrapped);
    const Masks over = ((a ^ sum) & (b ^ sum)) < 0;
    const Masks limit = a < 0 ? Masks{} - kLargest : Masks{} + kLargest;
    sum = over ? limit : sum;
    a = sum < -kLargest ? Masks{} - kLargest : sum;
}

inline void fetch(Masks& to, const int32_t* from) noexcept {
    load(to, from);
}
inline void fetch(Masks& to, const uint8_t* from) noexcept {
    widen(to, from);
}

// x * gain. A delay line's view may be set to anything, so that the product may wrap.
inline Masks product(const Masks& x, int32_t gain) noexcept {
    Words words;
    load(words, &x);
    const Words wrapped = words * static_cast<uint32_t>(gain);
    Masks result;
    load(result, &wrapped);
    return result;
}

template <typename In>
inline uint64_t update(const Cuba& c, const In* x, size_t n, int32_t* u, int32_t* v, uint8_t* s) noexcept {
    const auto keep_u = static_cast<uint32_t>(4096 - c.current_decay);
    const auto keep_v = static_cast<uint32_t>(4096 - c.voltage_decay);
    Masks total = {};
    for (size_t i = 0; i < n; i += kBlock) {
        Masks input, current, membrane;
        fetch(input, x + i);
        load(current, u + i);
        load(membrane, v + i);
        if (is_zero(input | current | membrane)) {  // at rest: v_th is above 0
            std::memset(s + i, 0, kBlock);
            continue;
        }
        decay(current, keep_u);
        add_clamped(current, product(input, c.gain));
        decay(membrane, keep_v);
        add_clamped(membrane, current);
        const Masks fired = membrane > c.above;
        store(u + i, current);
        store(v + i, fired ? Masks{} : membrane);
        narrow(s + i, fired & 1);
        total -= fired;
    }
    uint64_t sum = 0;
    for (size_t j = 0; j < kBlock; ++j) sum += static_cast<uint32_t>(total[j]);
    return sum;
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(cuba)(const Cuba& c, const void* x, size_t n, int32_t* u, int32_t* v, uint8_t* s) noexcept {
    return c.wide ? update(c, static_cast<const int32_t*>(x), n, u, v, s)
                  : update(c, static_cast<const uint8_t*>(x), n, u, v, s);
}
