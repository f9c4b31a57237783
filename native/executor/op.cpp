#include "executor/op.hpp"

#include <algorithm>
#include <cmath>

#include "executor/layout.hpp"

namespace edgesnn::executor {
namespace {

std::string describe_shape(const Shape& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

}  // namespace

void NodeView::fail(const std::string& what, const std::string& found, const std::string& expected) const {
    throw Error(ErrorKind::model, what, "node '" + node.name + "'", found, expected);
}

void NodeView::expect(size_t arity, size_t results) const {
    if (inputs.size() == arity && node.outputs.size() == results) return;
    fail("other number of inputs or outputs",
         std::to_string(inputs.size()) + ", " + std::to_string(node.outputs.size()),
         std::to_string(arity) + ", " + std::to_string(results));
}

std::string NodeView::text(const char* attribute, std::initializer_list<const char*> allowed) const {
    const auto it = node.attributes.find(attribute);
    const std::string* value = it == node.attributes.end() ? nullptr : std::get_if<std::string>(&it->second);
    if (value == nullptr) fail(std::string("attribute '") + attribute + "' is missing or no text");
    if (std::find(allowed.begin(), allowed.end(), *value) == allowed.end())
        fail(std::string("attribute '") + attribute + "' is wrong", *value);
    return *value;
}

int64_t NodeView::integer(const char* attribute, int64_t low, int64_t high) const {
    const auto it = node.attributes.find(attribute);
    const int64_t* value = it == node.attributes.end() ? nullptr : std::get_if<int64_t>(&it->second);
    if (value == nullptr) fail(std::string("attribute '") + attribute + "' is missing or no integer");
    if (*value < low || *value > high)
        fail(std::string("attribute '") + attribute + "' is wrong", std::to_string(*value),
             std::to_string(low) + " to " + std::to_string(high));
    return *value;
}

double NodeView::real(const char* attribute) const {
    const auto it = node.attributes.find(attribute);
    const double* value = it == node.attributes.end() ? nullptr : std::get_if<double>(&it->second);
    if (value == nullptr || !std::isfinite(*value))
        fail(std::string("attribute '") + attribute + "' is missing or no finite number");
    return *value;
}

Shape NodeView::integers(const char* attribute) const {
    const auto it = node.attributes.find(attribute);
    const Shape* value = it == node.attributes.end() ? nullptr : std::get_if<Shape>(&it->second);
    if (value == nullptr || value->size() > 8)
        fail(std::string("attribute '") + attribute + "' is missing or no list of integers");
    return *value;
}

std::pair<int64_t, int64_t> NodeView::pair(const char* attribute, int64_t low, int64_t high, bool two) const {
    const Shape values = integers(attribute);
    for (const int64_t value : values)
        if (value < low || value > high)
            fail(std::string("attribute '") + attribute + "' is wrong", std::to_string(value),
                 std::to_string(low) + " to " + std::to_string(high));
    if (values.size() != 1 && !(two && values.size() == 2))
        fail(std::string("attribute '") + attribute + "' has another length", std::to_string(values.size()));
    return {values.front(), values.back()};
}

size_t NodeView::axis(const char* attribute, size_t rank) const {
    const int64_t axis = integer(attribute, -8, -1);
    if (static_cast<size_t>(-axis) > rank)
        fail(std::string("attribute '") + attribute + "' names no axis", std::to_string(axis));
    return rank - static_cast<size_t>(-axis);
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

void NodeView::check_padding() const {
    for (const auto& [role, spec] : node.tensors)
        if (!padding_is_zero(tensor(role.c_str()))) fail("padding of tensor '" + spec.name + "' is not zero");
}

void NodeView::hold(size_t bytes) const {
    if (!may_hold(bytes))
        fail("tensors that many nodes share need too much memory", std::to_string(bytes) + " bytes more",
             "at most 64 MiB and 16 times the tensors of the file in all");
    memory_.copies -= bytes;
}

std::vector<float> NodeView::spread(const char* role, size_t length) const {
    const TensorSpec& vector = tensor(role);
    if (vector.dtype != Dtype::f32 || vector.shape != Shape{static_cast<int64_t>(length)})
        fail("tensor '" + vector.name + "' has another shape or type", describe_shape(vector.shape),
             "float32 [" + std::to_string(length) + "]");
    const float* values = static_cast<const float*>(vector.data);
    hold(round_up(length, kLanes) * sizeof(float));
    std::vector<float> out(round_up(length, kLanes), 0.0F);
    std::copy_n(values, length, out.begin());
    if (!std::all_of(values, values + length, [](float value) { return std::isfinite(value); }))
        fail("tensor '" + vector.name + "' has values that are not numbers");
    return out;
}

Parameter NodeView::constant(const float& value, const ValueType& type) const {
    return {&value, 1, type, 0, value, memory_.spread};
}

bool NodeView::positive(const char* role) const {
    const TensorSpec& vector = tensor(role);
    const auto* values = static_cast<const float*>(vector.data);
    return std::all_of(values, values + vector.shape[0], [](float value) { return value > 0.0F; });
}

Parameter NodeView::parameter(const char* role, const ValueType& type, float padding) const {
    const TensorSpec& vector = tensor(role);
    const size_t channel_axis = axis("axis", type.shape.size());
    const size_t all = elements(type.shape), given = static_cast<size_t>(vector.shape[0]);
    const auto channels = static_cast<size_t>(type.shape[channel_axis]);
    const bool vector_of_floats = vector.layout == "vector" && vector.dtype == Dtype::f32;
    if (!vector_of_floats || (given != 1 && given != channels && given != all))
        fail("tensor '" + vector.name + "' has another shape or type", describe_shape(vector.shape),
             "float32 [1], [" + std::to_string(channels) + "] or [" + std::to_string(all) + "]");
    const auto* values = static_cast<const float*>(vector.data);
    for (size_t i = 0; i < given; ++i)
        if (!std::isfinite(values[i])) fail("tensor '" + vector.name + "' has values that are not numbers");
    return {values, given, type, channel_axis, padding, memory_.spread};
}

}  // namespace edgesnn::executor
