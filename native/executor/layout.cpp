#include "executor/layout.hpp"

#include "executor/value.hpp"

namespace edgesnn::executor {
namespace {

int64_t up(int64_t n, int64_t unit = static_cast<int64_t>(kLanes)) {
    return (n + unit - 1) / unit * unit;
}

// A matrix [N, K] in rows of `columns` bytes or floats: [K', columns], K' >= K.
bool rows_fit(const TensorSpec& tensor, int64_t inputs, int64_t columns) {
    return tensor.stored.size() == 2 && tensor.stored[1] == columns && tensor.stored[0] >= inputs &&
           tensor.stored[0] <= up(inputs, 64);
}

bool blocks_fit(const TensorSpec& tensor, int64_t outputs, int64_t inputs, int64_t deep) {
    return tensor.stored.size() == 4 && tensor.stored[0] == up(outputs) / 16 && tensor.stored[1] * deep >= up(inputs) &&
           tensor.stored[1] * deep <= up(inputs, 128) && tensor.stored[2] == 16 && tensor.stored[3] == 4;
}

struct Matrix {
    size_t outputs, inputs;  // with padding
};

Matrix padded(const TensorSpec& tensor) {
    const auto size = [&](size_t axis) { return static_cast<size_t>(tensor.stored[axis]); };
    if (tensor.layout == "vector") return {size(0), 1};
    if (tensor.layout == "rows") return {size(0), size(1)};
    if (tensor.layout == "im") return {size(1), size(0)};
    if (tensor.layout == "im4") return {size(1) * 2, size(0)};
    return {size(0) * 16, size(1) * (tensor.layout == "om16x4" ? 4 : 8)};
}

bool zero_at(const TensorSpec& tensor, size_t n, size_t k) {
    const bool across = tensor.layout == "im";  // input-major
    if (!across && tensor.layout != "vector" && tensor.layout != "rows") return integer_at(tensor, n, k) == 0;
    const size_t row = tensor.stored.size() < 2 ? 1 : static_cast<size_t>(tensor.stored[1]);
    const size_t item = item_size(tensor.dtype), at = across ? k * row + n : n * row + k;
    const uint8_t* bytes = static_cast<const uint8_t*>(tensor.data) + at * item;
    for (size_t i = 0; i < item; ++i)
        if (bytes[i] != 0) return false;
    return true;
}

}  // namespace

bool layout_fits(const TensorSpec& tensor) {
    if (tensor.shape.empty()) return false;
    int64_t inputs = 1;
    for (const int64_t n : tensor.shape)
        if (n < 1 || n > kMaxElements) return false;
    for (size_t i = 1; i < tensor.shape.size(); ++i)
        if ((inputs *= tensor.shape[i]) > kMaxElements) return false;
    const int64_t outputs = tensor.shape[0];
    if (tensor.layout == "vector")
        return tensor.shape.size() == 1 && tensor.stored.size() == 1 && tensor.stored[0] == up(outputs);
    if (tensor.shape.size() < 2) return false;
    if (tensor.layout == "im") return tensor.dtype != Dtype::i32 && rows_fit(tensor, inputs, up(outputs));
    if (tensor.layout == "im4") return tensor.dtype == Dtype::u8 && rows_fit(tensor, inputs, up(outputs, 32) / 2);
    if (tensor.layout == "rows") return tensor.shape.size() == 2 && rows_fit(tensor, outputs, up(inputs));
    if (tensor.layout == "om16x4") return tensor.dtype == Dtype::i8 && blocks_fit(tensor, outputs, inputs, 4);
    return tensor.layout == "om16x8" && tensor.dtype == Dtype::u8 && blocks_fit(tensor, outputs, inputs, 8);
}

int32_t integer_at(const TensorSpec& matrix, size_t n, size_t k) {
    const auto* bytes = static_cast<const uint8_t*>(matrix.data);
    const auto row = static_cast<size_t>(matrix.stored[1]);
    if (matrix.layout == "im") return static_cast<const int8_t*>(matrix.data)[k * row + n];
    if (matrix.layout == "im4") {
        const uint8_t byte = bytes[k * row + n / 32 * 16 + n % 16];
        return (n % 32 < 16 ? byte & 15 : byte >> 4) - 8;
    }
    if (matrix.layout == "om16x4")
        return static_cast<const int8_t*>(matrix.data)[((n / 16 * row + k / 4) * 16 + n % 16) * 4 + k % 4];
    const uint8_t byte = bytes[((n / 16 * row + k / 8) * 16 + n % 16) * 4 + k % 4];
    return (k % 8 < 4 ? byte & 15 : byte >> 4) - 8;
}

bool padding_is_zero(const TensorSpec& tensor) {
    const Matrix all = padded(tensor);
    const auto outputs = static_cast<size_t>(tensor.shape[0]);
    const size_t inputs = elements(tensor.shape) / outputs;
    for (size_t n = 0; n < all.outputs; ++n)
        for (size_t k = n < outputs ? inputs : 0; k < all.inputs; ++k)
            if (!zero_at(tensor, n, k)) return false;
    return true;
}

}  // namespace edgesnn::executor
