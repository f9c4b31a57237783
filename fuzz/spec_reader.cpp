#include "spec_reader.hpp"

#include <algorithm>
#include <limits>

namespace edgesnn::fuzz {

using namespace executor;
using Text = std::string;

namespace {

// Of a value: mostly few, so that much can be tried.
constexpr size_t kFewElements = 1 << 6, kSomeElements = 1 << 9, kManyElements = 1 << 14;
constexpr size_t kMostStates = 4;  // times the elements: of a state

const char* const kOperators[] = {
    "point_code", "linear", "linear",     "conv1d",  "conv2d",     "conv2d", "lif",       "lif",
    "lif",        "cuba",   "delay",      "delay",   "pool1d",     "pool2d", "add",       "multiply",
    "concat",     "slice",  "gather",     "reshape", "max",        "mean",   "vote",      "count",
    "accumulate", "scale",  "activation", "softmax", "layer_norm", "wkv",    "embedding", "token_shift"};

const char* const kResets[] = {"never", "window", "line", "window", "tokens"};

Shape stored_shape(const Shape& shape, const Text& layout, Dtype dtype, int64_t group) {
    const auto up = [](int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; };
    const int64_t n = shape[0];
    int64_t k = 1;
    for (size_t i = 1; i < shape.size(); ++i) k *= shape[i];
    const int64_t unit = item_size(dtype) == 1 ? 4 : 1;
    if (layout == "vector") return {up(n, 16)};
    if (layout == "im") return {up(k, unit), up(n, 16)};
    if (layout == "im4") return {up(k, unit), up(n, 32) / 2};
    if (layout == "rows") return {up(n, unit), up(k, 16)};
    if (layout == "om16x4") return {up(n, 16) / 16, up(k, 16) / 4, 16, 4};
    return {up(n, 16) / 16, up(k, group) / 8, 16, 4};
}

// Sets what is stored for place (n, k) of a padded tensor to zero.
void clear(const TensorSpec& t, uint8_t* data, size_t n, size_t k) {
    const size_t row = t.stored.size() < 2 ? 1 : static_cast<size_t>(t.stored[1]), item = item_size(t.dtype);
    const auto nibble = [&](size_t at, bool high) {
        data[at] = static_cast<uint8_t>(high ? (data[at] & 15) | 0x80 : (data[at] & 0xF0) | 8);
    };
    if (t.layout == "im4") return nibble(k * row + n / 32 * 16 + n % 16, n % 32 >= 16);
    if (t.layout == "om16x8") return nibble(((n / 16 * row + k / 8) * 16 + n % 16) * 4 + k % 4, k % 8 >= 4);
    const size_t at = t.layout == "om16x4" ? ((n / 16 * row + k / 4) * 16 + n % 16) * 4 + k % 4
                      : t.layout == "im"   ? k * row + n
                                           : n * row + k;
    std::memset(data + at * item, 0, item);
}

void clear_padding(const TensorSpec& t, uint8_t* data) {
    const auto size = [&](size_t axis) { return static_cast<size_t>(t.stored[axis]); };
    const bool vector = t.layout == "vector", blocks = t.stored.size() == 4;
    const size_t rows = vector || t.layout == "rows" ? size(0)
                        : blocks                     ? size(0) * 16
                                                     : size(1) * (t.layout == "im4" ? 2 : 1);
    const size_t columns = vector               ? 1
                           : t.layout == "rows" ? size(1)
                           : blocks             ? size(1) * (t.layout == "om16x4" ? 4 : 8)
                                                : size(0);
    const auto outputs = static_cast<size_t>(t.shape[0]);
    const size_t inputs = elements(t.shape) / outputs;
    for (size_t n = 0; n < rows; ++n)
        for (size_t k = n < outputs ? inputs : 0; k < columns; ++k) clear(t, data, n, k);
}

bool one_of(Kind kind, std::initializer_list<Kind> kinds) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

}  // namespace

ModelSpec SpecReader::read() {
    in_.hostile = in_.flag();
    const size_t size = in_.below(64);
    most_elements_ = size == 63 ? kManyElements : size >= 56 ? kSomeElements : kFewElements;
    spec_.identity = "fuzz";
    spec_.keepalive = storage_;
    read_input();
    const size_t nodes = 1 + in_.below(12);
    for (size_t i = 0; i < nodes && !in_.empty(); ++i) read_node();
    close_delays();
    read_outputs();
    if (in_.odd()) depart_ends();
    return std::move(spec_);
}

void SpecReader::read_input() {
    InputSpec& input = spec_.input;
    ValueType type;
    switch (in_.below(4)) {
        case 0:
            input.kind = "points";
            input.points = in_.from(1, 40), input.groups = in_.from(1, input.points);
            input.neighbours = in_.from(1, input.points), input.steps = in_.from(1, 5), input.seed = in_.byte();
            while (static_cast<size_t>(input.groups * input.neighbours * 7) > most_elements_)
                input.groups = (input.groups + 1) / 2, input.neighbours = (input.neighbours + 1) / 2;
            type = {Kind::window, {input.groups, input.neighbours}};
            break;
        case 1:
            input.kind = "tokens";
            input.vocab = in_.from(1, 60);
            type = {Kind::token, {1}, input.vocab - 1};
            break;
        default: {
            input.kind = in_.flag() ? "spikes" : "dense";
            static constexpr int64_t kSizes[] = {1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 100};
            const size_t rank = 1 + in_.below(3);
            for (size_t i = 0; i < rank; ++i) input.shape.push_back(in_.pick(kSizes) / (rank == 3 ? 5 : 1) + 1);
            while (elements(input.shape) > most_elements_)
                for (int64_t& n : input.shape) n = (n + 1) / 2;
            const bool integers = in_.below(3) != 0;
            input.value = integers ? "int" : "float32";
            static constexpr int64_t kBounds[] = {1, 1, 1, 2, 5, 255};
            input.bound = integers ? in_.pick(kBounds) : 0;
            type = {integers ? Kind::integer : Kind::real, input.shape, input.bound};
        }
    }
    values_.push_back({"input", type});
    if (!in_.odd()) return;
    int64_t* const numbers[] = {&input.points, &input.groups, &input.neighbours,
                                &input.steps,  &input.vocab,  &input.bound};
    *in_.pick(numbers) = in_.number();
    if (in_.flag()) input.shape.push_back(in_.number());
}

void SpecReader::read_node() {
    NodeSpec node;
    node.op = in_.pick(kOperators);
    node.name = "n" + std::to_string(spec_.nodes.size());
    node.outputs = {node.name};
    if (!fill_node(node)) return;
    if (in_.odd()) depart(node);
    admit(std::move(node));
}

// Makes the operator as Model::build will: what it makes can be the input of the next. One that is refused goes on into
// the model now and then, so that building is refused too.
void SpecReader::admit(NodeSpec node) {
    const OpEntry* entry = operators();
    while (entry->name != nullptr && node.op != entry->name) ++entry;
    std::vector<ValueType> types;
    for (const Text& name : node.inputs)
        for (const Value& value : values_)
            if (value.name == name) types.push_back(value.type);
    bool same = true;
    for (const ValueType& type : types) same = same && type.last == types.front().last;
    for (ValueType& type : types)
        if (!same || entry->layout == Accepts::plain) type.last = false;
    try {
        if (entry->name == nullptr) throw Error(ErrorKind::model, "no such operator");
        Memory memory;
        const std::unique_ptr<Op> op = entry->make(NodeView(node, types, spec_.input, memory));
        for (const ValueType& type : op->outputs)
            if (elements(type.shape) > most_elements_) return;
        for (const OpState& state : op->states)
            if (elements(state.shape) > kMostStates * most_elements_) return;
        for (size_t i = 0; i < op->outputs.size(); ++i) values_.push_back({node.outputs[i], op->outputs[i]});
        for (const OpState& state : op->states)
            spec_.states.push_back(
                {node.name + "." + state.suffix, state.shape, state.dtype, state.initial, in_.pick(kResets)});
    } catch (const Error&) {
        if (in_.below(4) != 0) return;
    }
    spec_.nodes.push_back(std::move(node));
}

// Delays may take what later nodes make: a value like the one that they were made from.
void SpecReader::close_delays() {
    for (NodeSpec& node : spec_.nodes) {
        if (node.op != "delay" || node.inputs.size() != 1 || !in_.flag()) continue;
        const auto own = std::find_if(values_.begin(), values_.end(),
                                      [&](const Value& value) { return value.name == node.inputs[0]; });
        if (own == values_.end()) continue;
        const Value* other = like(*own, {own->type.kind});
        if (other->type.bound <= own->type.bound && other->name != node.name) node.inputs[0] = other->name;
    }
}

void SpecReader::read_outputs() {
    const size_t count = 1 + in_.below(3);
    for (size_t i = 0; i < count; ++i) {
        const Value& value = values_[values_.size() - 1 - in_.below(values_.size())];
        if (value.type.kind != Kind::window && value.type.kind != Kind::token) spec_.outputs.push_back(value.name);
        if (value.type.kind == Kind::real && in_.flag()) spec_.readout = value.name;
    }
}

const SpecReader::Value* SpecReader::choose(std::initializer_list<Kind> kinds, size_t least, size_t most) {
    std::vector<const Value*> fitting;
    for (const Value& value : values_)
        if (one_of(value.type.kind, kinds) && value.type.shape.size() >= least && value.type.shape.size() <= most)
            fitting.push_back(&value);
    if (fitting.empty()) return nullptr;
    const size_t back = in_.below(fitting.size());  // 0 is the one made last
    return fitting[fitting.size() - 1 - back];
}

const SpecReader::Value* SpecReader::like(const Value& other, std::initializer_list<Kind> kinds) {
    std::vector<const Value*> fitting;
    for (const Value& value : values_)
        if (one_of(value.type.kind, kinds) && value.type.shape == other.type.shape) fitting.push_back(&value);
    return fitting.empty() ? nullptr : fitting[fitting.size() - 1 - in_.below(fitting.size())];
}

SpecReader::TensorSpec SpecReader::tensor(const Text& name, const Shape& shape, Text layout, Dtype dtype, Fill how,
                                          int64_t high, int64_t group) {
    TensorSpec made{name, std::move(layout), dtype, nullptr, {}, shape};
    made.stored = stored_shape(shape, made.layout, dtype, group);
    const size_t count = elements(made.stored), bytes = count * item_size(dtype);
    storage_->blocks.emplace_back(new uint8_t[bytes]());
    fill(storage_->blocks.back().get(), count, dtype, how, high);
    clear_padding(made, storage_->blocks.back().get());
    made.data = storage_->blocks.back().get();
    return made;
}

void SpecReader::fill(uint8_t* bytes, size_t count, Dtype dtype, Fill how, int64_t high) {
    Stream stream(in_.byte());
    for (size_t i = 0; i < count; ++i) {
        if (dtype == Dtype::f32) {
            float value = how == Fill::whole ? static_cast<float>(stream.from(-3, 3)) : stream.real();
            if (how == Fill::positive) value = value * value + 0.01F;
            if (how == Fill::negative) value = -value * value;
            if (how == Fill::any) value = stream.any() * 1.0F;
            if (!(value - value == 0.0F)) value = std::numeric_limits<float>::max();
            std::memcpy(bytes + i * 4, &value, 4);
        } else if (dtype == Dtype::i32) {
            const auto value = static_cast<int32_t>(stream.from(how == Fill::delays ? 1 : 0, high));
            std::memcpy(bytes + i * 4, &value, 4);
        } else {
            const auto byte = static_cast<uint8_t>(stream.next());
            bytes[i] = (dtype == Dtype::i8 && byte == 128) || (how == Fill::positive && byte == 0) ? uint8_t{1} : byte;
        }
    }
}

}  // namespace edgesnn::fuzz
