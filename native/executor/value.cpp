#include "executor/value.hpp"

namespace edgesnn::executor {

std::string describe(const ValueType& type) {
    std::string text = type.kind == Kind::window ? "window[" : type.kind == Kind::integer ? "int[" : "float32[";
    for (size_t i = 0; i < type.shape.size(); ++i) text += (i == 0 ? "" : "x") + std::to_string(type.shape[i]);
    text += "]";
    return type.kind == Kind::integer ? text + " up to " + std::to_string(type.bound) : text;
}

}  // namespace edgesnn::executor
