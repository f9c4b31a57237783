// Rows of float32 to int8 with one scale a row, of one arm; plain loops over sixteen lanes that the compiler makes the
// arm's vectors of. A maximum does not depend on the order.

namespace {

constexpr size_t kLanes = 16;

inline float largest(const float* x, size_t n) noexcept {
    float best[kLanes] = {};
    for (size_t i = 0; i < n; i += kLanes)
        for (size_t j = 0; j < kLanes; ++j) {
            const float size = x[i + j] < 0.0F ? -x[i + j] : x[i + j];
            best[j] = size > best[j] ? size : best[j];
        }
    for (size_t j = 1; j < kLanes; ++j) best[0] = best[j] > best[0] ? best[j] : best[0];
    constexpr float kLargest = 3.4028234663852886e38F;  // an infinity makes no scale infinite: 0 * s_x stays 0
    return best[0] < kLargest ? best[0] : kLargest;
}

}  // namespace

void EDGESNN_ARM_NAME(quantize_f32)(const float* x, size_t stride, size_t rows, int8_t* q, float* s_x) noexcept {
    constexpr float kWhole = 12582912.0F;  // 1.5 * 2^23: a sum with it is a whole number, rounded half to even
    for (size_t row = 0; row < rows; ++row, x += stride, q += stride) {
        const float a = largest(x, stride);
        const bool silent = a < 1e-30F;
        const float factor = silent ? 0.0F : 127.0F / a;
        s_x[row] = silent ? 0.0F : a / 127.0F;
        for (size_t i = 0; i < stride; i += kLanes) {
            int8_t values[kLanes];
            for (size_t j = 0; j < kLanes; ++j) {
                float v = x[i + j] * factor;
                v = v > -127.0F ? v : -127.0F;
                v = v < 127.0F ? v : 127.0F;
                values[j] = silent ? int8_t{0} : static_cast<int8_t>(static_cast<int32_t>((v + kWhole) - kWhole));
            }
            std::memcpy(q + i, values, sizeof(values));
        }
    }
}
