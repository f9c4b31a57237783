// The update of leaky integrate-and-fire neurons with flags; included inside the anonymous namespace of an arm's file,
// which includes arms.hpp, <cstring> and its intrinsics before. Written once for every arm and every set of flags;
// those of the usual neurons may be constants, so that their loops ask nothing.
//
// In this order (docs/operators.md, `lif`): gain, current, leak, reset of the step before (next), decay, reset by the
// old v (old, no_double), spikes, reset, v_min. While `held` counts down, v stays and nothing fires.

#include "kernels/lanes.inl"

// kWidth neurons of a row, from `column` on, with what all of them need.
struct Column {
    size_t column;
    Reals alpha, v_th;
};

EDGESNN_INLINE Column column_of(const Neurons& n, size_t column) noexcept {
    return {column, fetch<Reals>(n.alpha + column), fetch<Reals>(n.v_th + column)};
}

// What kWidth neurons did.
struct Outcome {
    Reals u;       // their new v
    Chosen fired;  // binary spikes
    Reals count;   // other spikes
};

EDGESNN_INLINE Chosen compare(const Neurons& n, const Reals& u, const Reals& v_th) noexcept {
    return n.ge ? at_least(u, v_th) : above(u, v_th);
}

// The whole number of thresholds in u, within 0 and cap; 0 where that is not a number.
EDGESNN_INLINE Reals count_spikes(const Neurons& n, const Reals& u, const Reals& v_th) noexcept {
    const Reals zero = {}, cap = zero + static_cast<float>(n.cap);
    Reals q = u / v_th;
    q = choose(above(q, zero), q, zero);
    q = choose(above(cap, q), q, cap);
    const Reals round = zero + 12582912.0F;  // 1.5 * 2^23: adding and subtracting it rounds to even
    if (n.spike == Neurons::Spike::half_even) return (q + round) - round;
    return reals(whole(q + (n.spike == Neurons::Spike::half_up ? 0.5F : 0.0F)));
}

// u where no spike, else what the reset makes of it; `count` spikes.
EDGESNN_INLINE Reals reset(const Neurons& n, const Column& p, const Chosen& where, const Reals& count,
                           const Reals& u) noexcept {
    if (n.reset == Neurons::Reset::none) return u;
    if (n.reset == Neurons::Reset::subtract) return choose(where, u - count * p.v_th, u);
    if (n.reset == Neurons::Reset::zero) return choose(where, Reals{}, u);
    return choose(where, fetch<Reals>(n.v_reset + p.column), u);
}

EDGESNN_INLINE Reals through_current(const Neurons& n, const NeuronStates& states, const Column& p, size_t at,
                                     Reals c) noexcept {
    if (n.current == Neurons::Current::none) return c;
    const Reals beta = fetch<Reals>(n.beta + p.column);
    Reals i = fetch<Reals>(states.i + at);
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
            const Reals old = i;
            i = i * beta + c;
            c = old;
        }
    }
    put(states.i + at, i);
    return c;
}

// Neurons that rest keep `held_v` and do not fire.
EDGESNN_INLINE void rest(const Neurons& n, const NeuronStates& states, size_t at, const Reals& held_v,
                         Outcome& out) noexcept {
    const Ints left = fetch<Ints>(states.held + at), zero = {};
    const Chosen resting = above(left, 0);
    out.u = choose(resting, held_v, out.u);
    out.count = choose(resting, Reals{}, out.count);
    out.fired = without(out.fired, resting);
    const Chosen fires = n.spike == Neurons::Spike::binary ? out.fired : above(out.count, Reals{});
    put(states.held + at, choose(resting, left - 1, choose(fires, zero + n.refractory, zero)));
}

// The neurons whose states lie at `at`; c flows in. Writes their states.
EDGESNN_INLINE Outcome update(const Neurons& n, const NeuronStates& states, const Column& p, size_t at,
                              Reals c) noexcept {
    const bool binary = n.spike == Neurons::Spike::binary, silent = n.spike == Neurons::Spike::none;
    const Reals one = Reals{} + 1.0F, held_v = fetch<Reals>(states.v + at);
    Reals v = held_v;
    Chosen before = {};
    Outcome out = {};
    if (n.gain != nullptr) c = c * fetch<Reals>(n.gain + p.column);
    c = through_current(n, states, p, at, c);
    if (n.leak != nullptr) c = c + fetch<Reals>(n.leak + p.column);
    if (n.at != Neurons::At::same) before = compare(n, v, p.v_th);
    if (n.at == Neurons::At::next) v = reset(n, p, before, one, v);
    out.u = n.euler ? v + p.alpha * (c - v) : v * p.alpha + c;
    if (n.at == Neurons::At::old || n.at == Neurons::At::no_double) out.u = reset(n, p, before, one, out.u);
    if (binary) out.fired = compare(n, out.u, p.v_th);
    if (!binary && !silent) out.count = count_spikes(n, out.u, p.v_th);
    if (n.at == Neurons::At::same && binary) out.u = reset(n, p, out.fired, one, out.u);
    if (n.at == Neurons::At::same && !binary) out.u = reset(n, p, above(out.count, Reals{}), out.count, out.u);
    if (n.at == Neurons::At::no_double) {
        const Reals now = choose(out.fired, one, Reals{}), already = choose(before, one, Reals{});
        // where neither or both, u stays: v_th may be infinite
        out.u = choose(differ(now, already), out.u - (now - already) * p.v_th, out.u);
    }
    if (n.v_min != nullptr) {
        const Reals least = fetch<Reals>(n.v_min + p.column);
        out.u = choose(above(out.u, least), out.u, least);
    }
    if (n.refractory != 0) rest(n, states, at, held_v, out);
    put(states.v + at, out.u);
    return out;
}

// Sixteen outcomes to the row `out` from `column` on; returns the sum of the spikes.
EDGESNN_INLINE uint64_t emit(const Neurons& n, const Outcome (&made)[kSixteen], size_t column, void* out) noexcept {
    if (n.spike == Neurons::Spike::none) {
        for (size_t i = 0; i < kSixteen; ++i) put(static_cast<float*>(out) + column + i * kWidth, made[i].u);
        return 0;
    }
    auto* to = static_cast<uint8_t*>(out) + column;
    if (n.spike == Neurons::Spike::binary) {
        Chosen fired[kSixteen];
        for (size_t i = 0; i < kSixteen; ++i) fired[i] = made[i].fired;
        return put_ones(to, fired);
    }
    Ints counts[kSixteen], total = {};
    for (size_t i = 0; i < kSixteen; ++i) total += counts[i] = whole(made[i].count);
    put_bytes(to, counts);
    uint64_t sum = 0;
    for (size_t j = 0; j < kWidth; ++j) sum += static_cast<uint32_t>(total[j]);
    return sum;
}

// Neurons with the flags that they have, or (Usual) with those of the usual ones as constants.
struct Any {
    static Neurons of(const Neurons& n) noexcept { return n; }
};
template <bool kGe, Neurons::Reset kReset>
struct Usual {
    static Neurons of(const Neurons& n) noexcept {
        Neurons usual;
        usual.alpha = n.alpha, usual.v_th = n.v_th;
        usual.ge = kGe, usual.reset = kReset;
        return usual;
    }
};

// work(flags), where flags.of(n) are the neurons, of the usual flags.
template <typename Work>
EDGESNN_INLINE uint64_t with_usual_flags(const Neurons& n, const Work& work) noexcept {
    using Reset = Neurons::Reset;
    if (n.reset == Reset::zero) return n.ge ? work(Usual<true, Reset::zero>{}) : work(Usual<false, Reset::zero>{});
    if (n.reset == Reset::none) return n.ge ? work(Usual<true, Reset::none>{}) : work(Usual<false, Reset::none>{});
    return n.ge ? work(Usual<true, Reset::subtract>{}) : work(Usual<false, Reset::subtract>{});
}
