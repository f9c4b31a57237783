// The loops themselves, plain C++ written to vectorise. Included once per instruction set, inside an anonymous
// namespace and without any std template, so that no function compiled for one set can be linked into another's
// callers.

size_t farthest(const Columns& points, size_t from, int32_t* distance) noexcept {
    const int16_t cx = points.x[from], cy = points.y[from], ct = points.t[from];
    int32_t largest = -1;
    for (size_t i = 0; i < points.padded; ++i) {
        const int16_t dx = static_cast<int16_t>(points.x[i] - cx);
        const int16_t dy = static_cast<int16_t>(points.y[i] - cy);
        const int16_t dt = static_cast<int16_t>(points.t[i] - ct);
        const int32_t d = dx * dx + dy * dy + dt * dt;
        const int32_t nearest = d < distance[i] ? d : distance[i];
        distance[i] = nearest;
        largest = nearest > largest ? nearest : largest;
    }
    return first_equal(distance, points.padded, largest);
}

void distances(const Columns& points, size_t from, size_t lanes, int32_t* distance, int32_t* lowest) noexcept {
    const int16_t cx = points.x[from], cy = points.y[from], ct = points.t[from];
    for (size_t j = 0; j < lanes; ++j) lowest[j] = INT32_MAX;
    for (size_t base = 0; base < points.padded; base += lanes) {
        const int16_t* x = points.x + base;
        const int16_t* y = points.y + base;
        const int16_t* t = points.t + base;
        int32_t* out = distance + base;
        for (size_t j = 0; j < lanes; ++j) {
            const int16_t dx = static_cast<int16_t>(x[j] - cx);
            const int16_t dy = static_cast<int16_t>(y[j] - cy);
            const int16_t dt = static_cast<int16_t>(t[j] - ct);
            const int32_t d = dx * dx + dy * dy + dt * dt;
            out[j] = d;
            lowest[j] = d < lowest[j] ? d : lowest[j];
        }
    }
}

typedef int32_t Lanes __attribute__((vector_size(4 * kLoopLanes)));

inline void load(Lanes& to, const int32_t* from) noexcept {
    __builtin_memcpy(&to, from, sizeof(to));
}

inline size_t count_up_to(const int32_t* values, size_t n, int32_t bound) noexcept {
    Lanes v, counts = {};
    for (size_t i = 0; i < n; i += kLoopLanes) {
        load(v, values + i);
        counts -= v <= bound;
    }
    int32_t count = 0;
    for (size_t j = 0; j < kLoopLanes; ++j) count += counts[j];
    return static_cast<size_t>(count);
}

int32_t bound(const int32_t* values, size_t n, size_t k) noexcept {
    int32_t low = INT32_MAX, high = 0;
    for (size_t i = 0; i < n; ++i) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    --low;  // fewer than k reach low, at least k reach high
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        const size_t count = count_up_to(values, n, middle);
        (count < k ? low : high) = middle;
        if (count >= k && count <= k + k / 8) break;
    }
    return high;
}

// A value stands behind all smaller ones, and behind the equal ones before it.
void places(const int32_t* values, size_t n, int32_t* place) noexcept {
    Lanes lane, v;
    for (size_t j = 0; j < kLoopLanes; ++j) lane[j] = static_cast<int32_t>(j);
    for (size_t base = 0; base < n; base += kLoopLanes) {
        const size_t end = base + kLoopLanes < n ? base + kLoopLanes : n;
        Lanes before = {};
        load(v, values + base);
        for (size_t j = 0; j < base; ++j) before -= values[j] <= v;
        for (size_t j = base; j < end; ++j)
            before -= (values[j] < v) | ((values[j] == v) & (static_cast<int32_t>(j - base) < lane));
        for (size_t j = end; j < n; ++j) before -= values[j] < v;
        __builtin_memcpy(place + base, &before, sizeof(before));
    }
}

void ranks(uint64_t key, uint64_t first, size_t n, uint32_t* rank) noexcept {
    constexpr size_t kBlock = 32;
    uint64_t c0[kBlock], c1[kBlock], c2[kBlock], c3[kBlock];
    for (size_t base = 0; base < n; base += kBlock) {
        const size_t count = n - base < kBlock ? n - base : kBlock;
        for (size_t j = 0; j < kBlock; ++j) {
            const uint64_t index = first + base + j;
            c0[j] = index & 0xFFFFFFFFu;
            c1[j] = index >> 32;
            c2[j] = c3[j] = 0xFFFFFFFFu;
        }
        uint64_t k0 = key & 0xFFFFFFFFu, k1 = key >> 32;
        for (int round = 0; round < 10; ++round) {
            for (size_t j = 0; j < kBlock; ++j) {
                const uint64_t a = uint64_t{0xD2511F53u} * (c0[j] & 0xFFFFFFFFu);
                const uint64_t b = uint64_t{0xCD9E8D57u} * (c2[j] & 0xFFFFFFFFu);
                c0[j] = (b >> 32) ^ c1[j] ^ k0;
                c1[j] = b & 0xFFFFFFFFu;
                c2[j] = (a >> 32) ^ c3[j] ^ k1;
                c3[j] = a & 0xFFFFFFFFu;
            }
            k0 = (k0 + 0x9E3779B9u) & 0xFFFFFFFFu;
            k1 = (k1 + 0xBB67AE85u) & 0xFFFFFFFFu;
        }
        for (size_t j = 0; j < count; ++j) rank[base + j] = static_cast<uint32_t>(c0[j]);
    }
}
