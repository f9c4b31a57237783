// The float32 matrices of a vector arm: included by linear_f32__<arm>.cpp, which defines EDGESNN_ARM_NAME(name), Floats
// (the arm's vector), kWide (vectors in the widest tile of columns) and find_active. Every column's sum has the order
// that is written out in linear_f32__scalar.cpp; a tile only walks many columns at once.

constexpr size_t kLanes = 16;
constexpr size_t kFloats = sizeof(Floats) / sizeof(float);
constexpr size_t kNarrow = 16 / kFloats;  // vectors in 16 columns
constexpr size_t kStreamed = 512;         // columns
constexpr size_t kFarWeights = 1 << 18;   // numbers, beyond which one row is read as sum_streamed does

typedef float Unaligned __attribute__((vector_size(sizeof(Floats)), aligned(4), may_alias));

inline Floats load(const float* p) noexcept {
    return *reinterpret_cast<const Unaligned*>(p);
}
inline void store(float* p, Floats v) noexcept {
    *reinterpret_cast<Unaligned*>(p) = v;
}

inline void finish(const Matrix& m, size_t column, Floats acc, float* y) noexcept {
    const Floats scaled = m.scale == nullptr ? acc : acc * load(m.scale + column);
    store(y + column, scaled + load(m.bias + column));
}

template <size_t V>
void sum_active(const Matrix& m, const Active& a, size_t column, float* y) noexcept {
    const float* weights = static_cast<const float*>(m.weights) + column;
    Floats acc[V] = {};
    for (size_t i = 0; i < a.count; ++i) {
        const float* w = weights + a.index[i] * m.stride;
        const float value = static_cast<float>(a.x[a.index[i]]);
#pragma GCC unroll 16
        for (size_t v = 0; v < V; ++v) acc[v] += load(w + v * kFloats) * value;
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) finish(m, column + v * kFloats, acc[v], y);
}

// `count` lanes from `lane` on, at most L, of V vectors of columns: lanes[l] = sum of w[k] * x[k], k = lane + l + 16 i.
template <size_t V, size_t L>
inline void sum_lanes(const Matrix& m, const float* x, size_t lane, const float* weights,
                      float (*lanes)[V * kFloats]) noexcept {
    Floats acc[L][V] = {};
    size_t k = lane;
    for (; k + L <= m.inputs; k += kLanes)
#pragma GCC unroll 8
        for (size_t l = 0; l < L; ++l)
#pragma GCC unroll 16
            for (size_t v = 0; v < V; ++v) acc[l][v] += load(weights + (k + l) * m.stride + v * kFloats) * x[k + l];
#pragma GCC unroll 8
    for (size_t l = 0; l < L; ++l)
        if (k + l < m.inputs)
#pragma GCC unroll 16
            for (size_t v = 0; v < V; ++v) acc[l][v] += load(weights + (k + l) * m.stride + v * kFloats) * x[k + l];
#pragma GCC unroll 8
    for (size_t l = 0; l < L; ++l)
#pragma GCC unroll 16
        for (size_t v = 0; v < V; ++v) store(lanes[lane + l] + v * kFloats, acc[l][v]);
}

// V vectors of columns, L lanes at a time. A lane without a product is +0 and a lane is never -0.
template <size_t V, size_t L>
void sum_columns(const Matrix& m, const float* x, size_t column, float* y) noexcept {
    const float* weights = static_cast<const float*>(m.weights) + column;
    alignas(64) float lanes[kLanes][V * kFloats];
    for (size_t lane = 0; lane < kLanes; lane += L) sum_lanes<V, L>(m, x, lane, weights, lanes);
    for (size_t half = kLanes / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; ++j)
            for (size_t n = 0; n < V * kFloats; ++n) lanes[j][n] += lanes[j + half][n];
    for (size_t v = 0; v < V; ++v) finish(m, column + v * kFloats, load(lanes[0] + v * kFloats), y);
}

// lane[n] = lane[n] + w[k][n] * x[k] for R inputs k, k + 16, ..
template <size_t R>
inline void add_rows(const float* weights, size_t stride, const float* x, size_t width, float* lane) noexcept {
    for (size_t n = 0; n < width; n += kFloats) {
        Floats sum = load(lane + n);
#pragma GCC unroll 4
        for (size_t r = 0; r < R; ++r) sum += load(weights + r * kLanes * stride + n) * x[r * kLanes];
        store(lane + n, sum);
    }
}

// Columns [column, column + width) of one row: the weights are read as they lie, the lanes are in memory. Faster where
// the weights come from beyond the caches.
void sum_streamed(const Matrix& m, const float* x, size_t column, size_t width, float* y) noexcept {
    alignas(64) float lanes[kLanes][kStreamed];
    for (auto& lane : lanes) std::memset(lane, 0, width * sizeof(float));
    const float* weights = static_cast<const float*>(m.weights) + column;
    size_t k = 0;
    for (; k + 4 * kLanes <= m.inputs; k += 4 * kLanes)
        for (size_t lane = 0; lane < kLanes; ++lane)
            add_rows<4>(weights + (k + lane) * m.stride, m.stride, x + k + lane, width, lanes[lane]);
    for (; k < m.inputs; ++k) add_rows<1>(weights + k * m.stride, m.stride, x + k, width, lanes[k % kLanes]);
    for (size_t half = kLanes / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; ++j)
            for (size_t n = 0; n < width; ++n) lanes[j][n] += lanes[j + half][n];
    for (size_t n = 0; n < width; n += kFloats) finish(m, column + n, load(lanes[0] + n), y);
}

}  // namespace

uint64_t EDGESNN_ARM_NAME(events_f32)(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                                      void* y) noexcept {
    uint64_t sum = 0;
    float* out = static_cast<float*>(y);
    for (size_t row = 0; row < rows; ++row, x += x_stride, out += m.stride) {
        const Active a = find_active(x, x_stride, active);
        sum += a.sum;
        size_t column = 0;
        for (; column + kWide * kFloats <= m.stride; column += kWide * kFloats) sum_active<kWide>(m, a, column, out);
        for (; column < m.stride; column += 16) sum_active<kNarrow>(m, a, column, out);
    }
    return sum;
}

void EDGESNN_ARM_NAME(lanes_f32)(const Matrix& m, const float* x, size_t x_stride, size_t rows, float* y) noexcept {
    if (rows == 1 && m.inputs * m.stride >= kFarWeights) {
        for (size_t column = 0; column < m.stride; column += kStreamed)
            sum_streamed(m, x, column, m.stride - column < kStreamed ? m.stride - column : kStreamed, y);
        return;
    }
    size_t column = 0;  // outside the rows: the weights of a tile are read once
    for (; column + kWide * kFloats <= m.stride; column += kWide * kFloats)
        for (size_t row = 0; row < rows; ++row)
            sum_columns<kWide, 1>(m, x + row * x_stride, column, y + row * m.stride);
    for (; column < m.stride; column += 16)
        for (size_t row = 0; row < rows; ++row)
            sum_columns<kNarrow, 8 / kNarrow>(m, x + row * x_stride, column, y + row * m.stride);
}
