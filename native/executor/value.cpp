#include "executor/value.hpp"

namespace edgesnn::executor {

size_t elements(const Shape& shape) noexcept {
    size_t count = 1;
    for (const int64_t n : shape) count *= static_cast<size_t>(n);
    return count;
}

std::string describe(const ValueType& type) {
    static constexpr const char* kNames[] = {"window", "token", "int", "int32", "float32"};
    std::string text = kNames[static_cast<int>(type.kind)] + std::string("[");
    for (size_t i = 0; i < type.shape.size(); ++i) text += (i == 0 ? "" : "x") + std::to_string(type.shape[i]);
    text += "]";
    return type.kind == Kind::integer ? text + " up to " + std::to_string(type.bound) : text;
}

}  // namespace edgesnn::executor
