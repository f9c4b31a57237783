#include "executor/source.hpp"

#include <algorithm>
#include <cstring>

namespace edgesnn::executor {

void ArraySource::fill(size_t index, void* to) const noexcept {
    const size_t bytes = type_.columns() * type_.item_size(), row_bytes = type_.stride() * type_.item_size();
    const size_t rows = type_.rows();
    const uint8_t* from = data_ + index * rows * bytes;
    for (size_t row = 0; row < rows; ++row)
        std::memcpy(static_cast<uint8_t*>(to) + row * row_bytes, from + row * bytes, bytes);
}

void EventSource::fill(size_t index, void* to) const noexcept {
    auto* bytes = static_cast<uint8_t*>(to);
    const auto columns = static_cast<uint32_t>(type_.columns()), stride = static_cast<uint32_t>(type_.stride());
    std::memset(bytes, 0, type_.rows() * type_.stride());
    for (int64_t i = offsets_[index]; i < offsets_[index + 1]; ++i) {
        uint8_t& value =
            bytes[columns == stride ? indices_[i] : indices_[i] / columns * stride + indices_[i] % columns];
        value = count_ ? static_cast<uint8_t>(value + 1) : uint8_t{1};
    }
}

void FrameSource::fill(size_t index, void* to) const noexcept {
    auto* values = static_cast<float*>(to);
    const auto columns = static_cast<uint32_t>(type_.columns()), stride = static_cast<uint32_t>(type_.stride());
    std::fill_n(values, type_.rows() * type_.stride(), 0.0f);
    for (int64_t i = offsets_[index]; i < offsets_[index + 1]; ++i)
        values[indices_[i] / columns * stride + indices_[i] % columns] += 1.0f;
}

}  // namespace edgesnn::executor
