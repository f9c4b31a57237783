#include "executor/model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>

#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kMaxNodes = size_t{1} << 14;
constexpr int64_t kMaxSteps = 4096;
constexpr int64_t kMaxPoints = 65536;
const char* const kResets[] = {"window", "line", "tokens", "never"};

[[noreturn]] void fail_input(const std::string& what, const std::string& found) {
    throw Error(ErrorKind::model, what, "input", found);
}

ValueType points_type(const InputSpec& input) {
    const bool fits = input.points >= 1 && input.points <= kMaxPoints && input.groups >= 1 &&
                      input.groups <= input.points && input.neighbours >= 1 && input.neighbours <= input.points &&
                      input.steps >= 1 && input.steps <= kMaxSteps;
    if (!fits) fail_input("sizes of points are wrong", std::to_string(input.points) + " points");
    return {Kind::window, {input.groups, input.neighbours}};
}

ValueType tokens_type(const InputSpec& input) {
    if (input.vocab < 1 || input.vocab > kMaxElements) fail_input("vocab is wrong", std::to_string(input.vocab));
    return {Kind::token, {1}, input.vocab - 1};
}

ValueType dense_type(const InputSpec& input) {
    const bool integers = input.value == "int";
    if (!integers && input.value != "float32") fail_input("value is not known", input.value);
    if (input.bound < (integers ? 1 : 0) || input.bound > (integers ? 255 : 0))
        fail_input("bound is wrong", std::to_string(input.bound));
    return {integers ? Kind::integer : Kind::real, input.shape, input.bound};
}

// Positive sizes, not too large together.
bool sizes_fit(const Shape& shape, size_t most_axes = 8) {
    if (shape.size() > most_axes) return false;
    int64_t elements = 1;
    for (const int64_t n : shape) {
        if (n < 1 || n > kMaxElements) return false;
        elements *= n;
        if (elements > kMaxElements) return false;
    }
    return true;
}

const OpEntry* find_operator(const std::string& name) {
    for (const OpEntry* entry = operators(); entry->name != nullptr; ++entry)
        if (name == entry->name) return entry;
    return nullptr;
}

// Of the tensors of a model, each once.
size_t tensor_bytes(const ModelSpec& spec) {
    std::set<const void*> seen;
    size_t bytes = 0;
    for (const NodeSpec& node : spec.nodes)
        for (const auto& [role, tensor] : node.tensors)
            if (seen.insert(tensor.data).second) bytes += elements(tensor.stored) * item_size(tensor.dtype);
    return bytes;
}

bool same_layout(const std::vector<ValueType>& types) {
    for (const ValueType& type : types)
        if (type.last != types.front().last) return false;
    return true;
}

}  // namespace

std::shared_ptr<const Model> Model::build(ModelSpec spec) {
    kernels::table();  // an arm that cannot run is an error here, not in a step
    if (spec.nodes.size() > kMaxNodes)
        throw Error(ErrorKind::model, "too many nodes", "graph", std::to_string(spec.nodes.size()),
                    "at most " + std::to_string(kMaxNodes));
    const std::shared_ptr<Model> model(new Model(std::move(spec)));
    model->add_input();
    for (size_t i = 0; i < model->spec_.nodes.size(); ++i) model->add_node(i);
    model->bind_delays();
    model->check_states();
    model->find_outputs();
    model->plan_ = make_plan(model->spec_, model->steps_, model->types_, model->outputs_, true);
    model->whole_plan_ = make_plan(model->spec_, model->steps_, model->types_, model->outputs_, false);
    Layout layout = make_layout(model->plan_, model->types_, model->outputs_);  // refuses what needs too much memory
    model->check_scratch(layout.bytes + layout.local_bytes);
    model->workspaces_ = std::make_unique<WorkspacePool>(model->steps_, std::move(layout));
    return model;
}

Model::Model(ModelSpec spec) : spec_(std::move(spec)), memory_(tensor_bytes(spec_)) {}

void Model::add_input() {
    const InputSpec& input = spec_.input;
    ValueType type;
    if (input.kind == "points")
        type = points_type(input);
    else if (input.kind == "tokens")
        type = tokens_type(input);
    else if (input.kind == "dense" || input.kind == "spikes")
        type = dense_type(input);
    else
        fail_input("kind is not known", input.kind);
    if (type.shape.empty() || !sizes_fit(type.shape)) fail_input("shape is wrong", describe(type));
    values_ = {{"input", 0}};
    types_ = {type};
}

void Model::add_node(size_t index) {
    const NodeSpec& node = spec_.nodes[index];
    const std::string where = "node '" + node.name + "'";
    const OpEntry* entry = find_operator(node.op);
    if (entry == nullptr) throw Error(ErrorKind::model, "operator is not known", where, node.op);
    if (node.inputs.size() > kMaxInputs) throw Error(ErrorKind::model, "too many inputs", where);
    std::vector<int> inputs;
    std::vector<ValueType> input_types;
    for (const std::string& name : node.inputs) {
        inputs.push_back(value(name));
        if (inputs.back() < 0 && node.op == "delay") continue;  // bound when it is made
        if (inputs.back() < 0) throw Error(ErrorKind::model, "input '" + name + "' is made by no earlier node", where);
        input_types.push_back(type(inputs.back()));
    }
    if (entry->layout == Accepts::plain || !same_layout(input_types))
        for (size_t i = 0; i < input_types.size(); ++i) {
            inputs[i] = plain(inputs[i], index);
            input_types[i] = type(inputs[i]);
        }
    const NodeView view(node, std::move(input_types), spec_.input, memory_);
    std::unique_ptr<Op> op = entry->make(view);
    view.check_padding();
    add_step(std::move(op), index, std::move(inputs), node.outputs);
}

void Model::add_step(std::unique_ptr<Op> op, size_t node, std::vector<int> inputs,
                     const std::vector<std::string>& names) {
    const std::string where = "node '" + spec_.nodes[node].name + "'";
    const int first = static_cast<int>(types_.size());
    for (size_t i = 0; i < op->outputs.size(); ++i) {
        if (!names[i].empty() && value(names[i]) >= 0)
            throw Error(ErrorKind::model, "value '" + names[i] + "' is made twice", where);
        if (op->outputs[i].shape.empty() || !sizes_fit(op->outputs[i].shape))
            throw Error(ErrorKind::model, "value is too large", where, describe(op->outputs[i]));
        if (!names[i].empty()) values_[names[i]] = static_cast<int>(types_.size());
        types_.push_back(op->outputs[i]);
    }
    for (const OpState& state : op->states)
        if (!sizes_fit(state.shape, 9))  // a line has an axis more than its value
            throw Error(ErrorKind::model, "state is too large", where, state.suffix);
    steps_.push_back({std::move(op), node, std::move(inputs), first});
}

// The value in plain rows: itself, or a copy that is made once.
int Model::plain(int source, size_t node) {
    if (!type(source).last) return source;
    plain_.resize(types_.size(), -1);
    int& made = plain_[static_cast<size_t>(source)];
    if (made < 0) {
        made = static_cast<int>(types_.size());
        add_step(make_plain(type(source)), node, {source}, {std::string()});
    }
    return plain_[static_cast<size_t>(source)];
}

void Model::bind_delays() {
    for (Step& step : steps_) {
        const NodeSpec& node = spec_.nodes[step.node];
        for (size_t i = 0; i < step.inputs.size(); ++i) {
            if (step.inputs[i] >= 0) continue;
            step.inputs[i] = value(node.inputs[i]);
            if (step.inputs[i] < 0)
                throw Error(ErrorKind::model, "input '" + node.inputs[i] + "' is made by no node",
                            "node '" + node.name + "'");
            step.op->bind(type(step.inputs[i]), node.name);
        }
    }
}

// `bytes` of values and what operators need besides them.
void Model::check_scratch(size_t bytes) const {
    for (const Step& step : steps_) {
        bytes += step.op->scratch_bytes();
        if (bytes > kMaxWorkspace)
            throw Error(ErrorKind::model, "model needs too much memory", "node '" + spec_.nodes[step.node].name + "'",
                        "", "at most 8 GiB for values and the work on them");
    }
}

void Model::find_outputs() {
    for (const std::string& name : spec_.outputs) {
        const int found = value(name);
        if (found < 0 || type(found).kind == Kind::window || type(found).kind == Kind::token)
            throw Error(ErrorKind::model, "output '" + name + "' is made by no node");
        if (name == spec_.readout) readout_ = static_cast<int>(outputs_.size());
        outputs_.push_back(found);
    }
    if (outputs_.empty()) throw Error(ErrorKind::model, "model has no outputs");
    if (!spec_.readout.empty() && readout_ < 0)
        throw Error(ErrorKind::model, "readout is not an output", "readout", spec_.readout);
    if (readout_ >= 0 && (type(outputs_[static_cast<size_t>(readout_)]).kind != Kind::real))
        throw Error(ErrorKind::model, "readout is not float32", "readout", spec_.readout);
}

void Model::check_states() const {
    size_t index = 0;
    for (const Step& step : steps_)
        for (const OpState& state : step.op->states) {
            const std::string name = spec_.nodes[step.node].name + "." + state.suffix;
            if (index >= spec_.states.size()) throw Error(ErrorKind::model, "state is missing", name);
            const StateSpec& found = spec_.states[index++];
            if (found.name != name || found.shape != state.shape || found.dtype != state.dtype)
                throw Error(ErrorKind::model, "state is not the graph's", name, found.name);
            if (!std::isfinite(found.initial) || found.initial != state.initial)
                throw Error(ErrorKind::model, "state begins otherwise", name);
            if (std::find(std::begin(kResets), std::end(kResets), found.reset) == std::end(kResets))
                throw Error(ErrorKind::model, "reset policy is not known", name, found.reset,
                            "window, line, tokens, never");
        }
    if (index != spec_.states.size())
        throw Error(ErrorKind::model, "state is not the graph's", spec_.states[index].name);
}

int Model::value(const std::string& name) const noexcept {
    const auto it = values_.find(name);
    return it == values_.end() ? -1 : it->second;
}

}  // namespace edgesnn::executor
