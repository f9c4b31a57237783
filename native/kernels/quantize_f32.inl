// Rows of float32 to int8 with one scale a row, of one arm; included by quantize_f32__<arm>.cpp, which defines
// EDGESNN_ARM_NAME(name). A maximum does not depend on the order.

#include "kernels/lanes.inl"

constexpr size_t kLanes = 16;

// v where chosen by a > b, else w; so that what is not a number in `a` gives w.
EDGESNN_INLINE Reals where_above(const Reals& a, const Reals& b, const Reals& v, const Reals& w) noexcept {
    return choose(above(a, b), v, w);
}

EDGESNN_INLINE float largest(const float* x, size_t n) noexcept {
    Reals best[kSixteen] = {};
    for (size_t i = 0; i < n; i += kLanes)
        for (size_t j = 0; j < kSixteen; ++j) {
            const Reals v = fetch<Reals>(x + i + j * kWidth), size = where_above(Reals{}, v, -v, v);
            best[j] = where_above(size, best[j], size, best[j]);
        }
    float found = 0.0F;
    for (const Reals& lanes : best)
        for (size_t j = 0; j < kWidth; ++j) found = lanes[j] > found ? lanes[j] : found;
    constexpr float kLargest = 3.4028234663852886e38F;  // an infinity makes no scale infinite: 0 * s_x stays 0
    return found < kLargest ? found : kLargest;
}

// Sixteen of a row. Whole numbers of -127 to 127 become bytes as those 128 above them, for which there is put_bytes.
EDGESNN_INLINE void quantize(const float* x, float factor, int8_t* q) noexcept {
    const Reals round = Reals{} + 12582912.0F;  // 1.5 * 2^23: a sum with it is a whole number, rounded half to even
    const Reals most = Reals{} + 127.0F;
    Ints values[kSixteen];
    for (size_t j = 0; j < kSixteen; ++j) {
        Reals v = fetch<Reals>(x + j * kWidth) * factor;
        v = where_above(v, -most, v, -most);
        v = where_above(most, v, v, most);
        values[j] = whole((v + round) - round) + 128;
    }
    uint8_t bytes[kLanes];
    put_bytes(bytes, values);
    uint64_t words[2];
    std::memcpy(words, bytes, sizeof(words));
    for (uint64_t& word : words) word ^= 0x8080808080808080U;
    std::memcpy(q, words, sizeof(words));
}

}  // namespace

void EDGESNN_ARM_NAME(quantize_f32)(const float* x, size_t stride, size_t rows, int8_t* q, float* s_x) noexcept {
    for (size_t row = 0; row < rows; ++row, x += stride, q += stride) {
        const float a = largest(x, stride);
        s_x[row] = a < 1e-30F ? 0.0F : a / 127.0F;
        if (a < 1e-30F) {
            std::memset(q, 0, stride);
            continue;
        }
        const float factor = 127.0F / a;
        for (size_t i = 0; i < stride; i += kLanes) quantize(x + i, factor, q + i);
    }
}
