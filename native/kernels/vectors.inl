// Elementwise float32, rows and the like; included by vectors__<arm>.cpp. n % 16 == 0 except where a
// row's columns are given; then what lies beyond them is written as zero.

#include "kernels/lanes16.inl"

// docs/arithmetic.md, section 6; base/exp32.hpp is the same for one number.
inline void exp16(const Floats& x, Floats& y) noexcept {
    Floats inside, round, inf;
    splat(round, 12582912.0F);
    splat(inf, std::numeric_limits<float>::infinity());
    const Masks low = x < -87.33654F, high = x > 88.72283F, odd = x != x;
    inside = low || high || odd ? Floats{} : x;
    const Floats n = (inside * 1.44269504F + round) - round;
    const Floats r = (inside - n * 0.693359375F) - n * -2.12194440e-4F;
    Floats p;
    splat(p, 1.9875691500e-4F);
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    y = (p * (r * r) + r) + 1.0F;
    const Masks k = __builtin_convertvector(n, Masks), half = k >> 1;
    const Masks first = (half + 127) << 23, second = (k - half + 127) << 23;
    Floats a, b;
    load(a, &first);
    load(b, &second);
    y = (y * a) * b;
    y = low ? Floats{} : y;
    y = high ? inf : y;
    y = odd ? x : y;
}

inline void sigmoid16(const Floats& x, Floats& y) noexcept {
    exp16(-x, y);
    y = 1.0F / (1.0F + y);
}

inline void clear_padding(float* y, size_t columns) noexcept {
    for (size_t i = columns; i % kBlock != 0; ++i) y[i] = 0.0F;
}

// y[i] = f(x[i]) for all rows; f(0) may be anything, so the padding is cleared.
template <typename F>
inline void rows_of(const float* x, size_t rows, size_t columns, float* y, F f) noexcept {
    const size_t stride = (columns + kBlock - 1) / kBlock * kBlock;
    for (size_t row = 0; row < rows; ++row, x += stride, y += stride) {
        for (size_t at = 0; at < stride; at += kBlock) {
            Floats v, result;
            load(v, x + at);
            f(v, result);
            store(y + at, result);
        }
        clear_padding(y, columns);
    }
}

// Sum in sixteen lanes of f(x[i]), i < columns; what lies beyond is +0.
template <typename F>
inline float lanes_of(const float* x, size_t columns, F f) noexcept {
    Floats lanes = {};
    for (size_t at = 0; at + kBlock <= columns; at += kBlock) {
        Floats v, result;
        load(v, x + at);
        f(v, result);
        lanes = lanes + result;
    }
    if (const size_t rest = columns % kBlock; rest != 0) {
        Floats v, result;
        load(v, x + columns - rest);
        f(v, result);
        for (size_t j = rest; j < kBlock; ++j) result[j] = 0.0F;
        lanes = lanes + result;
    }
    return fold(lanes);
}

}  // namespace

void EDGESNN_ARM_NAME(add_f32)(const float* a, const float* b, size_t n, float* y) noexcept {
    for (size_t i = 0; i < n; i += kBlock) {
        Floats u, v;
        load(u, a + i);
        load(v, b + i);
        store(y + i, u + v);
    }
}

void EDGESNN_ARM_NAME(multiply_f32)(const float* a, const float* b, size_t n, float* y) noexcept {
    for (size_t i = 0; i < n; i += kBlock) {
        Floats u, v;
        load(u, a + i);
        load(v, b + i);
        store(y + i, u * v);
    }
}

void EDGESNN_ARM_NAME(scale_f32)(const float* x, const float* scale, const float* bias, size_t rows, size_t stride,
                                 float* y) noexcept {
    for (size_t i = 0; i < stride; i += kBlock) {
        Floats a, b;
        load(a, scale + i);
        load(b, bias + i);
        for (size_t row = 0; row < rows; ++row) {
            Floats u;
            load(u, x + row * stride + i);
            store(y + row * stride + i, u * a + b);
        }
    }
}

void EDGESNN_ARM_NAME(scale_i32)(const int32_t* x, const float* scale, const float* bias, size_t rows, size_t stride,
                                 float* y) noexcept {
    for (size_t i = 0; i < stride; i += kBlock) {
        Floats a, b;
        load(a, scale + i);
        load(b, bias + i);
        for (size_t row = 0; row < rows; ++row) {
            Masks u;
            load(u, x + row * stride + i);
            store(y + row * stride + i, __builtin_convertvector(u, Floats) * a + b);
        }
    }
}

void EDGESNN_ARM_NAME(shift_f32)(const float* x, const float* old, const float* mix, const float* keep, size_t n,
                                 float* y) noexcept {
    for (size_t i = 0; i < n; i += kBlock) {
        Floats u, v, a, b;
        load(u, x + i);
        load(v, old + i);
        load(a, mix + i);
        load(b, keep + i);
        store(y + i, u * a + v * b);
    }
}

void EDGESNN_ARM_NAME(relu_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    rows_of(x, rows, columns, y, [](const Floats& v, Floats& r) { r = v > 0.0F ? v : Floats{}; });
}

void EDGESNN_ARM_NAME(relu2_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    rows_of(x, rows, columns, y, [](const Floats& v, Floats& r) {
        r = v > 0.0F ? v : Floats{};
        r = r * r;
    });
}

void EDGESNN_ARM_NAME(sigmoid_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    rows_of(x, rows, columns, y, [](const Floats& v, Floats& r) { sigmoid16(v, r); });
}

void EDGESNN_ARM_NAME(silu_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    rows_of(x, rows, columns, y, [](const Floats& v, Floats& r) {
        sigmoid16(v, r);
        r = v * r;
    });
}

void EDGESNN_ARM_NAME(exp_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    rows_of(x, rows, columns, y, [](const Floats& v, Floats& r) { exp16(v, r); });
}

void EDGESNN_ARM_NAME(softmax_f32)(const float* x, size_t rows, size_t columns, float* y) noexcept {
    const size_t stride = (columns + kBlock - 1) / kBlock * kBlock;
    for (size_t row = 0; row < rows; ++row, x += stride, y += stride) {
        float largest = x[0];
        for (size_t i = 1; i < columns; ++i) largest = x[i] > largest ? x[i] : largest;
        rows_of(x, 1, columns, y, [largest](const Floats& v, Floats& r) { exp16(v - largest, r); });
        const float sum = lanes_of(y, columns, [](const Floats& v, Floats& r) { r = v; });
        rows_of(y, 1, columns, y, [sum](const Floats& v, Floats& r) { r = v / sum; });
    }
}

void EDGESNN_ARM_NAME(layer_norm_f32)(const float* x, const float* weight, const float* bias, float eps, size_t rows,
                                      size_t columns, float* y) noexcept {
    const size_t stride = (columns + kBlock - 1) / kBlock * kBlock;
    const float width = static_cast<float>(columns);
    for (size_t row = 0; row < rows; ++row, x += stride, y += stride) {
        const float mean = lanes_of(x, columns, [](const Floats& v, Floats& r) { r = v; }) / width;
        const float variance = lanes_of(x, columns,
                                        [mean](const Floats& v, Floats& r) {
                                            const Floats d = v - mean;
                                            r = d * d;
                                        }) /
                               width;
        const float deviation = std::sqrt(variance + eps);
        for (size_t at = 0; at < stride; at += kBlock) {
            Floats v, w, b;
            load(v, x + at);
            load(w, weight + at);
            load(b, bias + at);
            store(y + at, ((v - mean) / deviation) * w + b);
        }
        clear_padding(y, columns);
    }
}

void EDGESNN_ARM_NAME(wkv_f32)(const float* k, const float* v, const float* bonus, const float* decay, size_t n,
                               float* aa, float* bb, float* pp, float* y) noexcept {
    for (size_t i = 0; i < n; i += kBlock) {
        Floats key, value, a, b, p, u, e1, e2, w;
        load(key, k + i);
        load(value, v + i);
        load(a, aa + i);
        load(b, bb + i);
        load(p, pp + i);
        load(u, bonus + i);
        load(w, decay + i);
        Floats now = u + key;
        Floats top = p > now ? p : now;
        exp16(p - top, e1);
        exp16(now - top, e2);
        store(y + i, (e1 * a + e2 * value) / (e1 * b + e2));
        now = p + w;
        top = now > key ? now : key;
        exp16(now - top, e1);
        exp16(key - top, e2);
        store(aa + i, e1 * a + e2 * value);
        store(bb + i, e1 * b + e2);
        store(pp + i, top);
    }
}
