// Zeros and ones as bits of words, plain loops; included by bits__<arm>.cpp, which defines EDGESNN_ARM_NAME(name).
// Equations in kernels.hpp.

void EDGESNN_ARM_NAME(unpack_bits)(const uint64_t* bits, size_t rows, size_t stride, uint8_t* y) noexcept {
    for (size_t row = 0; row < rows; ++row, y += stride)
        for (size_t n = 0; n < stride; ++n) y[n] = bits[row] >> n & 1;
}

void EDGESNN_ARM_NAME(max_bits)(const uint64_t* a, const uint64_t* b, size_t rows, size_t stride, uint8_t* y) noexcept {
    uint64_t one = 0, two = 0;
    for (size_t row = 0; row < rows; ++row) {
        one |= a[row] | b[row];
        two |= a[row] & b[row];
    }
    for (size_t n = 0; n < stride; ++n) y[n] = static_cast<uint8_t>((one >> n & 1) + (two >> n & 1));
}

void EDGESNN_ARM_NAME(less_bits)(const uint16_t* a, const uint16_t* b, size_t n, uint64_t* bits) noexcept {
    for (size_t i = 0; i < n; i += 64) {
        uint64_t word = 0;
        for (size_t j = 0; j < 64; ++j) word |= uint64_t{a[i + j] < b[i + j]} << j;
        bits[i / 64] = word;
    }
}
