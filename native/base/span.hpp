// A pointer and a length (C++17 has no std::span). Owns nothing.
#pragma once

#include <cstddef>

namespace edgesnn {

template <typename T>
struct Span {
    T* data = nullptr;
    size_t size = 0;

    T* begin() const noexcept { return data; }
    T* end() const noexcept { return data + size; }
    T& operator[](size_t i) const noexcept { return data[i]; }
    bool empty() const noexcept { return size == 0; }
};

}  // namespace edgesnn
