// Elementwise bytes of one arm; plain loops that the compiler makes the arm's vectors of.
// add_u8: y[i] = a[i] + b[i]. max_u8: y[n] = max over rows of x[row][n], and of y[n] unless fresh.

void EDGESNN_ARM_NAME(add_u8)(const uint8_t* a, const uint8_t* b, size_t n, uint8_t* y) noexcept {
    for (size_t i = 0; i < n; i += 16) {  // copies: y may be a or b for all that the compiler knows
        uint8_t sum[16], other[16];
        std::memcpy(sum, a + i, sizeof(sum));
        std::memcpy(other, b + i, sizeof(other));
        for (size_t j = 0; j < 16; ++j) sum[j] = static_cast<uint8_t>(sum[j] + other[j]);
        std::memcpy(y + i, sum, sizeof(sum));
    }
}

void EDGESNN_ARM_NAME(max_u8)(const uint8_t* x, size_t rows, size_t stride, bool fresh, uint8_t* y) noexcept {
    for (size_t column = 0; column < stride; column += 16) {
        uint8_t best[16];
        std::memcpy(best, (fresh ? x : y) + column, sizeof(best));
        for (size_t row = 0; row < rows; ++row)
            for (size_t n = 0; n < 16; ++n) {
                const uint8_t value = x[row * stride + column + n];
                best[n] = value > best[n] ? value : best[n];
            }
        std::memcpy(y + column, best, sizeof(best));
    }
}
