// Polite nodes: one function an operator chooses inputs, attributes and tensors that go together.
#include <algorithm>

#include "spec_reader.hpp"

namespace edgesnn::fuzz {

using namespace executor;
using Text = std::string;

bool SpecReader::fill_node(NodeSpec& node) {
    const Text& op = node.op;
    if (op == "point_code") return point_code(node);
    if (op == "linear") return linear(node);
    if (op == "conv1d" || op == "conv2d") return convolution(node, op == "conv1d" ? 1 : 2);
    if (op == "pool1d" || op == "pool2d") return pool(node, op == "pool1d" ? 1 : 2);
    if (op == "lif") return lif(node);
    if (op == "cuba") return cuba(node);
    if (op == "delay") return delay(node);
    if (op == "add" || op == "multiply" || op == "concat" || op == "token_shift") return two(node);
    if (op == "slice" || op == "gather") return select(node);
    if (op == "reshape") return reshape(node);
    if (op == "max" || op == "mean") return reduce(node);
    if (op == "vote") return vote(node);
    if (op == "count") return count(node);
    if (op == "accumulate") return accumulate(node);
    if (op == "scale") return scale(node);
    if (op == "activation" || op == "softmax") return activation(node);
    if (op == "layer_norm") return layer_norm(node);
    return op == "embedding" ? embedding(node) : wkv(node);
}

void SpecReader::parameter(NodeSpec& node, const char* role, const ValueType& x, Fill how) {
    const int64_t axis = std::get<int64_t>(node.attributes.at("axis"));
    const int64_t channels = x.shape[x.shape.size() - static_cast<size_t>(-axis)];
    const int64_t lengths[] = {1, channels, static_cast<int64_t>(elements(x.shape))};
    node.tensors[role] = tensor(role, {in_.pick(lengths)}, "vector", Dtype::f32, how);
}

void SpecReader::weight(NodeSpec& node, const Shape& shape, const ValueType& x, bool dense) {
    enum { f32, i8, i4 };
    static constexpr int kNumbers[] = {i8, f32, i4, i8};
    int number = in_.pick(kNumbers);
    const bool integers = x.kind == Kind::integer;
    static const char* const kActivations[] = {"float32", "int8"};
    Text activations = integers ? "int" : dense ? in_.pick(kActivations) : "float32";
    if (activations == "int8" && number == f32) number = i8;
    if (number == i4 && !integers && !dense) number = i8;
    const bool wide = integers && number != f32 && in_.below(4) == 3;
    const bool grouped = number == i4 && !integers;
    const int64_t group = grouped ? int64_t{32} << in_.below(3) : 0;
    const Text layout = number == i4 ? (integers ? "im4" : "om16x8") : activations == "int8" ? "om16x4" : "im";
    const Dtype dtype = number == i4 ? Dtype::u8 : number == i8 ? Dtype::i8 : Dtype::f32;
    const Fill how = in_.flag() ? Fill::whole : in_.below(8) == 7 ? Fill::any : Fill::small;
    node.tensors["weight"] = tensor("weight", shape, layout, dtype, how, 0, group == 0 ? 32 : group);
    if (!wide) {
        node.tensors["scale"] = tensor("scale", {shape[0]}, "vector", Dtype::f32, how);
        node.tensors["bias"] = tensor("bias", {shape[0]}, "vector", Dtype::f32, how);
    }
    if (grouped)
        node.tensors["multiplier"] =
            tensor("multiplier", {shape[0], (shape[1] + group - 1) / group}, "im", Dtype::u8, Fill::positive);
    static const char* const kCold[] = {"run", "skip"};
    node.attributes["activations"] = activations;
    node.attributes["output"] = Text(wide ? "int32" : "float32");
    node.attributes["group"] = group;
    node.attributes["cold_start"] = Text(in_.pick(kCold));
}

bool SpecReader::point_code(NodeSpec& node) {
    const Value* x = choose({Kind::window}, 2, 2);
    if (x == nullptr) return false;
    const bool rate = in_.flag();
    node.inputs = {x->name};
    node.outputs = {node.name + ".members", node.name + ".centres"};
    node.attributes = {{"coding", Text(rate ? "rate" : "direct")},
                       {"features", Text(!rate && in_.flag() ? "signed" : "unsigned")},
                       {"polarity", in_.flag()}};
    return true;
}

bool SpecReader::linear(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    weight(node, {in_.from(1, 70), x->type.shape.back()}, x->type, true);
    return true;
}

bool SpecReader::convolution(NodeSpec& node, size_t axes) {
    const Value* x = choose({Kind::integer, Kind::real}, 1 + axes, 1 + axes);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    const int64_t channels = x->type.shape[0];
    const int64_t groups = in_.below(3) == 2 ? channels : 1;
    Shape shape{groups * in_.from(1, groups == 1 ? 20 : 2), channels / groups};
    const char* const names[] = {"stride", "padding", "dilation"};
    for (size_t i = 0; i < axes; ++i) shape.push_back(in_.from(1, 4));
    for (const char* name : names) {
        Shape values;
        for (size_t i = 0; i < axes; ++i) values.push_back(in_.from(name[0] == 'p' ? 0 : 1, 3));
        node.attributes[name] = values;
    }
    weight(node, shape, x->type, false);
    static const char* const kKernels[] = {"event", "dense"};
    node.attributes["groups"] = groups;
    node.attributes["kernel"] = Text(in_.pick(kKernels));
    return true;
}

bool SpecReader::pool(NodeSpec& node, size_t axes) {
    const Value* x = choose({Kind::integer, Kind::real}, 1 + axes, 1 + axes);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    static const char* const kModes[] = {"sum", "avg", "max"};
    Shape kernel, stride, padding;
    for (size_t i = 0; i < axes; ++i) {
        kernel.push_back(in_.from(1, 5)), stride.push_back(in_.from(1, 4));
        padding.push_back(in_.from(0, kernel.back() - 1));
    }
    node.attributes = {{"mode", Text(in_.pick(kModes))}, {"kernel", kernel}, {"stride", stride}, {"padding", padding}};
    return true;
}

bool SpecReader::lif(NodeSpec& node) {
    const Value* x = choose({Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    static const char* const kCurrents[] = {"none", "none", "none", "new", "sum_decay", "jump", "old"};
    static const char* const kSpikes[] = {"binary", "binary", "binary", "floor", "half_up", "half_even", "none"};
    static const char* const kResets[] = {"zero", "subtract", "value", "none"};
    static const char* const kTimes[] = {"same", "same", "next", "old", "no_double"};
    static const char* const kCompares[] = {"ge", "gt"};
    static const char* const kCold[] = {"run", "run", "run", "skip"};
    static constexpr int64_t kCaps[] = {1, 3, 255};
    const Text current = in_.pick(kCurrents), spike = in_.pick(kSpikes);
    const bool binary = spike == "binary", silent = spike == "none";
    const Text at = binary ? in_.pick(kTimes) : "same";
    const Text reset = silent ? "none" : at == "no_double" ? "subtract" : in_.pick(kResets);
    node.attributes = {{"axis", x->type.last ? -static_cast<int64_t>(x->type.shape.size()) : int64_t{-1}},
                       {"decay", Text(in_.flag() ? "euler" : "multiply")},
                       {"current", current},
                       {"compare", Text(in_.pick(kCompares))},
                       {"spike", spike},
                       {"cap", binary || silent ? int64_t{1} : in_.pick(kCaps)},
                       {"reset", reset},
                       {"reset_at", at},
                       {"refractory", silent || in_.flag() ? int64_t{0} : in_.from(0, 5)},
                       {"v_init", in_.flag() ? 0.0 : 0.5},
                       {"cold_start", Text(in_.pick(kCold))}};
    parameter(node, "alpha", x->type, in_.below(8) == 7 ? Fill::any : Fill::small);
    if (!silent) parameter(node, "v_th", x->type, Fill::positive);
    if (current != "none") parameter(node, "beta", x->type, Fill::small);
    if (reset == "value") parameter(node, "v_reset", x->type, Fill::small);
    for (const char* role : {"gain", "leak", "v_min"})
        if (in_.below(4) == 3) parameter(node, role, x->type, Fill::small);
    return true;
}

bool SpecReader::cuba(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::wide}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    static constexpr int64_t kGains[] = {1, 64, 0, -3, 1 << 20, INT32_MAX, INT32_MIN};
    static constexpr int64_t kThresholds[] = {1, 2, 64 << 6, INT32_MAX};
    static constexpr int64_t kDecays[] = {0, 1, 128, 1024, 4095, 4096};
    const int64_t most = x->type.bound == 0 ? INT32_MAX : INT32_MAX / x->type.bound;
    node.attributes = {{"current_decay", in_.pick(kDecays)},
                       {"voltage_decay", in_.pick(kDecays)},
                       {"gain", std::max(-most, std::min(in_.pick(kGains), most))},
                       {"v_th", in_.pick(kThresholds)},
                       {"compare", Text(in_.flag() ? "ge" : "gt")},
                       {"refractory", in_.flag() ? int64_t{0} : in_.from(0, 5)},
                       {"cold_start", Text(in_.below(4) == 3 ? "skip" : "run")}};
    return true;
}

bool SpecReader::delay(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::wide, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    const ValueType& type = x->type;
    const int64_t steps = in_.from(1, 5);
    node.attributes = {{"steps", steps},
                       {"shape", type.shape},
                       {"value", Text(type.kind == Kind::integer ? "int"
                                      : type.kind == Kind::wide  ? "int32"
                                                                 : "float32")},
                       {"bound", type.kind == Kind::integer && in_.flag() ? int64_t{255} : type.bound}};
    if (in_.below(3) == 2)
        node.tensors["delays"] = tensor("delays", {static_cast<int64_t>(elements(type.shape))}, "vector", Dtype::i32,
                                        in_.below(3) == 2 ? Fill::indices : Fill::delays, steps);
    return true;
}

bool SpecReader::two(NodeSpec& node) {
    const bool real = node.op == "multiply" || node.op == "token_shift";
    const Value* a = real ? choose({Kind::real}, 1, 8) : choose({Kind::integer, Kind::wide, Kind::real}, 1, 8);
    if (a == nullptr) return false;
    const Value* b = node.op == "multiply" ? like(*a, {Kind::real, Kind::integer}) : like(*a, {a->type.kind});
    node.inputs = {a->name, b->name};
    if (node.op == "concat") {
        node.attributes = {{"axis", -1 - static_cast<int64_t>(in_.below(a->type.shape.size()))}};
        if (in_.flag()) node.inputs.push_back(a->name);
    }
    if (node.op == "token_shift")
        for (const char* role : {"mix", "keep"})
            node.tensors[role] = tensor(role, {a->type.shape.back()}, "vector", Dtype::f32, Fill::small);
    return true;
}

bool SpecReader::select(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::wide, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    const size_t rank = x->type.shape.size(), axis = in_.below(rank);
    const int64_t length = x->type.shape[axis];
    node.attributes = {{"axis", static_cast<int64_t>(axis) - static_cast<int64_t>(rank)}};
    if (node.op == "gather") {
        node.tensors["indices"] = tensor("indices", {in_.from(1, 20)}, "vector", Dtype::i32, Fill::indices, length - 1);
        return true;
    }
    const int64_t start = in_.from(0, std::min<int64_t>(length - 1, 100));
    node.attributes["start"] = start;
    node.attributes["stop"] = in_.from(start + 1, std::min<int64_t>(length, start + 200));
    return true;
}

bool SpecReader::reshape(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::wide, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    auto left = static_cast<int64_t>(elements(x->type.shape));
    Shape shape;
    static constexpr int64_t kFactors[] = {2, 3, 5, 16, 4};
    for (size_t i = in_.below(3); i > 0; --i) {
        const int64_t factor = in_.pick(kFactors);
        shape.push_back(left % factor == 0 ? factor : 1);
        left /= shape.back();
    }
    shape.push_back(left);
    node.attributes = {{"shape", shape}};
    return true;
}

bool SpecReader::reduce(NodeSpec& node) {
    const Value* x = node.op == "max" ? choose({Kind::integer}, 2, 8) : choose({Kind::integer, Kind::real}, 2, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    node.attributes = {{"axis", int64_t{-2}}};
    return true;
}

bool SpecReader::vote(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::real}, 1, 1);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    const int64_t size = x->type.shape[0], voters = in_.flag() && size % 2 == 0 ? 2 : in_.flag() ? size : 1;
    node.attributes = {{"classes", size / voters}, {"voters", voters}};
    return true;
}

bool SpecReader::count(NodeSpec& node) {
    const Value* x = choose({Kind::integer}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    return true;
}

bool SpecReader::accumulate(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    static const char* const kModes[] = {"sum", "mean", "leaky"};
    const Text mode = in_.pick(kModes);
    node.attributes = {{"mode", mode}, {"axis", int64_t{-1}}};
    if (mode == "leaky") parameter(node, "alpha", x->type, Fill::small);
    return true;
}

bool SpecReader::scale(NodeSpec& node) {
    const Value* x = choose({Kind::integer, Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    node.attributes = {{"axis", in_.flag() ? int64_t{-1} : -static_cast<int64_t>(x->type.shape.size())}};
    parameter(node, "scale", x->type, Fill::small);
    parameter(node, "bias", x->type, Fill::whole);
    return true;
}

bool SpecReader::activation(NodeSpec& node) {
    const Value* x = choose({Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    static const char* const kFunctions[] = {"relu", "relu2", "sigmoid", "silu", "exp"};
    if (node.op == "activation") node.attributes = {{"function", Text(in_.pick(kFunctions))}};
    return true;
}

bool SpecReader::layer_norm(NodeSpec& node) {
    const Value* x = choose({Kind::real}, 1, 8);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    node.attributes = {{"eps", 1e-5}};
    for (const char* role : {"weight", "bias"})
        node.tensors[role] = tensor(role, {x->type.shape.back()}, "vector", Dtype::f32, Fill::small);
    return true;
}

bool SpecReader::embedding(NodeSpec& node) {
    const Value* x = choose({Kind::token}, 1, 1);
    if (x == nullptr) return false;
    node.inputs = {x->name};
    const bool bytes = in_.flag();
    const int64_t rows = x->type.bound + 1 + in_.from(0, 3), columns = in_.from(1, 40);
    const bool halves = bytes && in_.flag();
    node.tensors["weight"] = tensor("weight", {rows, columns}, halves ? "om16x8" : "rows",
                                    halves  ? Dtype::u8
                                    : bytes ? Dtype::i8
                                            : Dtype::f32,
                                    Fill::small);
    if (bytes) node.tensors["scale"] = tensor("scale", {rows}, "vector", Dtype::f32, Fill::small);
    if (halves)
        node.tensors["multiplier"] = tensor("multiplier", {rows, (columns + 31) / 32}, "im", Dtype::u8, Fill::positive);
    return true;
}

bool SpecReader::wkv(NodeSpec& node) {
    const Value* k = choose({Kind::real}, 1, 1);
    if (k == nullptr) return false;
    node.inputs = {k->name, like(*k, {Kind::real})->name};
    node.tensors["bonus"] = tensor("bonus", k->type.shape, "vector", Dtype::f32, Fill::small);
    node.tensors["decay"] = tensor("decay", k->type.shape, "vector", Dtype::f32, Fill::negative);
    return true;
}

}  // namespace edgesnn::fuzz
