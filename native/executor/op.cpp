#include "executor/op.hpp"

#include <algorithm>
#include <cmath>

namespace edgesnn::executor {
namespace {

std::string describe_shape(const Shape& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

bool layout_fits(const TensorSpec& tensor) {
    for (const int64_t n : tensor.shape)
        if (n < 1 || n > kMaxElements) return false;
    const auto up = [](int64_t n) { return static_cast<int64_t>(round_up(static_cast<size_t>(n), kLanes)); };
    if (tensor.layout == "vector")
        return tensor.shape.size() == 1 && tensor.stored.size() == 1 && tensor.stored[0] == up(tensor.shape[0]);
    return tensor.layout == "im" && tensor.shape.size() == 2 && tensor.stored.size() == 2 &&
           tensor.stored[1] == up(tensor.shape[0]) && tensor.stored[0] >= tensor.shape[1];
}

}  // namespace

void NodeView::fail(const std::string& what, const std::string& found, const std::string& expected) const {
    throw Error(ErrorKind::model, what, "node '" + node.name + "'", found, expected);
}

void NodeView::expect(size_t arity, size_t results, size_t tensors) const {
    if (inputs.size() == arity && node.outputs.size() == results && node.tensors.size() == tensors) return;
    fail("other number of inputs, outputs or tensors",
         std::to_string(inputs.size()) + ", " + std::to_string(node.outputs.size()) + ", " +
             std::to_string(node.tensors.size()),
         std::to_string(arity) + ", " + std::to_string(results) + ", " + std::to_string(tensors));
}

std::string NodeView::text(const char* attribute, std::initializer_list<const char*> allowed) const {
    const auto it = node.attributes.find(attribute);
    const std::string* value = it == node.attributes.end() ? nullptr : std::get_if<std::string>(&it->second);
    if (value == nullptr) fail(std::string("attribute '") + attribute + "' is missing or no text");
    if (std::find(allowed.begin(), allowed.end(), *value) == allowed.end())
        fail(std::string("attribute '") + attribute + "' is wrong", *value);
    return *value;
}

int64_t NodeView::integer(const char* attribute) const {
    const auto it = node.attributes.find(attribute);
    const int64_t* value = it == node.attributes.end() ? nullptr : std::get_if<int64_t>(&it->second);
    if (value == nullptr) fail(std::string("attribute '") + attribute + "' is missing or no integer");
    return *value;
}

bool NodeView::flag(const char* attribute) const {
    const auto it = node.attributes.find(attribute);
    const bool* value = it == node.attributes.end() ? nullptr : std::get_if<bool>(&it->second);
    if (value == nullptr) fail(std::string("attribute '") + attribute + "' is missing or not true or false");
    return *value;
}

const TensorSpec& NodeView::tensor(const char* role) const {
    const auto it = node.tensors.find(role);
    if (it == node.tensors.end()) fail(std::string("tensor is missing: ") + role);
    const TensorSpec& tensor = it->second;
    if (tensor.data == nullptr || !layout_fits(tensor))
        fail("tensor '" + tensor.name + "' does not fit its layout",
             tensor.layout + " " + describe_shape(tensor.shape) + " stored as " + describe_shape(tensor.stored));
    return tensor;
}

std::vector<float> NodeView::spread(const char* role, size_t length, bool or_one, float padding) const {
    const TensorSpec& vector = tensor(role);
    const bool one = or_one && vector.shape == Shape{1};
    if (vector.dtype != Dtype::f32 || (!one && vector.shape != Shape{static_cast<int64_t>(length)}))
        fail("tensor '" + vector.name + "' has another shape or type", describe_shape(vector.shape),
             "float32 [" + std::to_string(length) + "]");
    const float* values = static_cast<const float*>(vector.data);
    std::vector<float> out(round_up(length, kLanes), padding);
    for (size_t i = 0; i < length; ++i) {
        out[i] = values[one ? 0 : i];
        if (!std::isfinite(out[i])) fail("tensor '" + vector.name + "' has values that are not numbers");
    }
    return out;
}

}  // namespace edgesnn::executor
