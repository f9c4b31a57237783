// Leaky integrate-and-fire neurons with flags, one row; included by neurons__<arm>.cpp which defines
// EDGESNN_ARM_NAME(name). Sixteen neurons at a time; the flags are the same for all, so every branch is predicted.
//
// In this order (docs/operators.md, `lif`): gain, current, leak, reset of the step before (next), decay, reset by the
// old v (old, no_double), spikes, reset, v_min. While `held` counts down, v stays and nothing fires.

#include "kernels/lanes16.inl"

// The whole number of thresholds in u, within 0 and cap; 0 where that is not a number.
inline void count_spikes(const Neurons& n, const Floats& u, const Floats& v_th, Floats& spikes) noexcept {
    const Floats zero = {};
    Floats cap, half, round;
    splat(cap, static_cast<float>(n.cap));
    splat(half, n.spike == Neurons::Spike::half_up ? 0.5F : 0.0F);
    splat(round, 12582912.0F);  // 1.5 * 2^23: adding and subtracting it rounds to even
    Floats q = u / v_th;
    q = q > zero ? q : zero;
    q = q < cap ? q : cap;
    if (n.spike == Neurons::Spike::half_even)
        spikes = (q + round) - round;
    else
        spikes = __builtin_convertvector(__builtin_convertvector(q + half, Masks), Floats);
}

inline void compare(const Neurons& n, const Floats& u, const Floats& v_th, Masks& fired) noexcept {
    fired = n.ge ? u >= v_th : u > v_th;
}

// u where no spike, else what the reset makes of it; `count` spikes.
inline void reset(const Neurons& n, size_t at, const Masks& where, const Floats& count, const Floats& v_th,
                  Floats& u) noexcept {
    if (n.reset == Neurons::Reset::none) return;
    Floats target = {};
    if (n.reset == Neurons::Reset::value) load(target, n.v_reset + at);
    if (n.reset == Neurons::Reset::subtract) target = u - count * v_th;
    u = where ? target : u;
}

inline void add_current(const Neurons& n, size_t at, size_t from, Floats& c) noexcept {
    if (n.current == Neurons::Current::none) return;
    Floats i, beta;
    load(i, n.i + from + at);
    load(beta, n.beta + at);
    switch (n.current) {
        case Neurons::Current::fresh:
            i = i * beta + c, c = i;
            break;
        case Neurons::Current::sum_decay:
            i = (i + c) * beta, c = i;
            break;
        case Neurons::Current::jump:
            c = i + c, i = c - beta * c;
            break;
        default: {
            const Floats old = i;
            i = i * beta + c;
            c = old;
        }
    }
    store(n.i + from + at, i);
}

// Sixteen neurons from column `at` of the row that begins at `from`; returns their spikes.
inline void sixteen(const Neurons& n, const float* x, size_t at, size_t from, Floats& u, Floats& spikes) noexcept {
    Floats c, alpha, v_th, v, one, other;
    Masks before = {}, fired;
    load(c, x + at);
    load(alpha, n.alpha + at);
    load(v_th, n.v_th + at);
    load(v, n.v + from + at);
    splat(one, 1.0F);
    if (n.gain != nullptr) load(other, n.gain + at), c = c * other;
    add_current(n, at, from, c);
    if (n.leak != nullptr) load(other, n.leak + at), c = c + other;
    if (n.at != Neurons::At::same) compare(n, v, v_th, before);
    const Floats held = v;
    if (n.at == Neurons::At::next) reset(n, at, before, one, v_th, v);
    u = n.euler ? v + alpha * (c - v) : v * alpha + c;
    if (n.at == Neurons::At::old || n.at == Neurons::At::no_double) reset(n, at, before, one, v_th, u);
    spikes = Floats{};
    if (n.spike == Neurons::Spike::binary) {
        compare(n, u, v_th, fired);
        spikes = fired ? one : Floats{};
    } else if (n.spike != Neurons::Spike::none) {
        count_spikes(n, u, v_th, spikes);
    }
    if (n.at == Neurons::At::same) reset(n, at, spikes > Floats{}, spikes, v_th, u);
    if (n.at == Neurons::At::no_double) {
        const Floats already = before ? one : Floats{};  // where neither or both, u stays: v_th may be infinite
        u = spikes != already ? u - (spikes - already) * v_th : u;
    }
    if (n.v_min != nullptr) load(other, n.v_min + at), u = u > other ? u : other;
    if (n.refractory != 0) {
        Masks left;
        load(left, n.held + from + at);
        const Masks resting = left > 0;
        u = resting ? held : u;
        spikes = resting ? Floats{} : spikes;
        left = resting ? left - 1 : (spikes > Floats{} ? Masks{} + n.refractory : Masks{});
        store(n.held + from + at, left);
    }
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(neurons)(const Neurons& n, const float* x, size_t stride, size_t from, void* out) noexcept {
    Masks total = {};
    for (size_t at = 0; at < stride; at += kBlock) {
        Floats u, spikes;
        sixteen(n, x, at, from, u, spikes);
        store(n.v + from + at, u);
        if (n.spike == Neurons::Spike::none) {
            store(static_cast<float*>(out) + at, u);
            continue;
        }
        const Masks whole = __builtin_convertvector(spikes, Masks);
        narrow(static_cast<uint8_t*>(out) + at, whole);
        total += whole;
    }
    uint64_t sum = 0;
    for (size_t j = 0; j < kBlock; ++j) sum += static_cast<uint32_t>(total[j]);
    return sum;
}
