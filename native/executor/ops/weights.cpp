#include "executor/ops/weights.hpp"

#include <algorithm>
#include <cmath>

#include "executor/layout.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kUnpackedBytes = 16 << 10;  // half of a first-level cache
constexpr int64_t kMaxGroupedInputs = 8192;  // 8192 * 8 * 127 * 255 is below 2^31

bool int4(const TensorSpec& weight) {
    return weight.layout == "im4" || weight.layout == "om16x8";
}

}  // namespace

Weights::Weights(const NodeView& view) {
    const TensorSpec& weight = view.tensor("weight");
    activations = view.text("activations", {"int", "float32", "int8"});
    wide = view.text("output", {"float32", "int32"}) == "int32";
    const bool integers = activations == "int";
    if (view.inputs[0].kind != (integers ? Kind::integer : Kind::real))
        view.fail("input is of another kind", describe(view.inputs[0]));
    const bool grouped = int4(weight) && !integers;
    const std::string layout = int4(weight)                                         ? (integers ? "im4" : "om16x8")
                               : activations == "int8" && weight.dtype == Dtype::i8 ? "om16x4"
                                                                                    : "im";
    if (weight.layout != layout || weight.dtype == Dtype::i32 || (weight.dtype == Dtype::u8 && !int4(weight)))
        view.fail("tensor '" + weight.name + "' has another layout", weight.layout, layout);
    number = int4(weight) ? Number::i4 : weight.dtype == Dtype::i8 ? Number::i8 : Number::f32;
    if (number == Number::f32 && (activations == "int8" || wide))
        view.fail("float32 weights have no integer sums", weight.name);
    if (wide && !integers) view.fail("output is no integer sum", activations, "int");
    outputs = weight.shape[0];
    inputs = 1;
    for (size_t i = 1; i < weight.shape.size(); ++i) inputs *= weight.shape[i];
    stride = static_cast<size_t>(weight.stored[1]) * (weight.layout == "im4" ? 2 : 1);
    data = weight.data;
    check_range(view, weight);
    if ((view.integer("group", 0, 128) != 0) != grouped) view.fail("groups belong to int4 weights of float32 inputs");
    if (grouped) {
        const Groups groups = read_groups(view, weight, view.integer("group", 32, 128));
        multipliers = groups.multipliers, group = groups.size;
    }
    check_sums(view);
    if (wide) {
        largest = (number == Number::i8 ? 127 : 8) * inputs * view.inputs[0].bound;
        if (view.has("scale") || view.has("bias")) view.fail("a bare sum has no scale and bias");
    }
    if (number == Number::i4 && integers) unpack(view, weight);
    if (wide) return;
    const auto n = static_cast<size_t>(outputs);
    scale = view.spread("scale", n);
    bias = view.spread("bias", n);
    if (activations == "float32" && number != Number::f32) spread_scale(view, weight);
}

void Weights::check_range(const NodeView& view, const TensorSpec& weight) const {
    if (weight.dtype != Dtype::i8) return;
    const auto* bytes = static_cast<const int8_t*>(weight.data);
    const auto* end = bytes + elements(weight.stored);
    if (std::find(bytes, end, -128) != end)
        view.fail("weight of tensor '" + weight.name + "' is out of range", "-128", "-127 to 127");
}

void Weights::check_sums(const NodeView& view) const {
    if (number == Number::f32 || activations == "float32") return;
    if (group != 0) {
        if (inputs > kMaxGroupedInputs) view.fail("sums may not fit 32 bits", std::to_string(inputs) + " inputs");
        return;
    }
    const int64_t value = activations == "int8" ? 127 : view.inputs[0].bound;
    if ((number == Number::i8 ? 127 : 8) * inputs > INT32_MAX / std::max<int64_t>(value, 1))
        view.fail("sums may not fit 32 bits", describe(view.inputs[0]));
}

Groups read_groups(const NodeView& view, const TensorSpec& weight, int64_t size) {
    const int64_t outputs = weight.shape[0], inputs = static_cast<int64_t>(elements(weight.shape)) / outputs;
    const int64_t groups = (inputs + size - 1) / size;
    const TensorSpec& multiplier = view.tensor("multiplier");
    const bool shape = multiplier.shape == Shape{outputs, groups} && multiplier.layout == "im";
    if ((size & (size - 1)) != 0 || weight.stored[1] * 8 != groups * size || multiplier.dtype != Dtype::u8 || !shape)
        view.fail("tensor '" + multiplier.name + "' does not fit the groups", std::to_string(groups) + " groups");
    const auto* multipliers = static_cast<const uint8_t*>(multiplier.data);
    for (int64_t g = 0; g < groups; ++g)
        for (int64_t n = 0; n < outputs; ++n)
            if (multipliers[g * multiplier.stored[1] + n] == 0)
                view.fail("multiplier is out of range", "0", "1 to 255");
    return {multipliers, static_cast<size_t>(multiplier.stored[1]), static_cast<size_t>(size)};
}

// w'[k][n] = float32(m * w) * scale[n], input-major, as a float32 weight lies.
void Weights::spread_scale(const NodeView& view, const TensorSpec& weight) {
    stride = scale.size();
    const auto n_end = static_cast<size_t>(outputs), k_end = static_cast<size_t>(inputs);
    const size_t m_stride = group == 0 ? 0 : static_cast<size_t>(view.tensor("multiplier").stored[1]);
    view.hold(k_end * stride * sizeof(float));
    floats_.assign(k_end * stride, 0.0F);
    for (size_t k = 0; k < k_end; ++k)
        for (size_t n = 0; n < n_end; ++n) {
            const int32_t m = group == 0 ? 1 : multipliers[k / group * m_stride + n];
            floats_[k * stride + n] = static_cast<float>(m * integer_at(weight, n, k)) * scale[n];
        }
    data = floats_.data();
    number = Number::f32;
    scaled = true;
    std::fill(scale.begin(), scale.end(), 1.0F);
}

void Weights::unpack(const NodeView& view, const TensorSpec& weight) {
    const auto n_end = static_cast<size_t>(outputs), k_end = static_cast<size_t>(inputs);
    const size_t columns = round_up(n_end, kLanes);
    if (k_end * columns > kUnpackedBytes || !view.may_hold(k_end * columns)) return;
    view.hold(k_end * columns);
    bytes_.assign(k_end * columns, 0);
    for (size_t k = 0; k < k_end; ++k)
        for (size_t n = 0; n < n_end; ++n) bytes_[k * columns + n] = static_cast<int8_t>(integer_at(weight, n, k));
    stride = columns;
    data = bytes_.data();
    number = Number::i8;
}

}  // namespace edgesnn::executor
