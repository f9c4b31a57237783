#include "executor/model.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

constexpr int64_t kMaxSteps = 4096;
constexpr int64_t kMaxPoints = 65536;

[[noreturn]] void fail_input(const std::string& what, const std::string& found) {
    throw Error(ErrorKind::model, what, "input", found);
}

ValueType points_type(const InputSpec& input) {
    const bool fits = input.points >= 1 && input.points <= kMaxPoints && input.groups >= 1 &&
                      input.groups <= input.points && input.neighbours >= 1 && input.neighbours <= input.points &&
                      input.steps >= 1 && input.steps <= kMaxSteps;
    if (!fits) fail_input("sizes of points are wrong", std::to_string(input.points) + " points");
    return {Kind::window, {input.groups, input.neighbours}, 0};
}

ValueType dense_type(const InputSpec& input) {
    const bool integers = input.value == "int";
    if (!integers && input.value != "float32") fail_input("value is not known", input.value);
    if (input.bound < (integers ? 1 : 0) || input.bound > (integers ? 255 : 0))
        fail_input("bound is wrong", std::to_string(input.bound));
    return {integers ? Kind::integer : Kind::real, input.shape, input.bound};
}

// Positive sizes, not too large together.
bool sizes_fit(const Shape& shape) {
    int64_t elements = 1;
    for (const int64_t n : shape) {
        if (n < 1 || n > kMaxElements) return false;
        elements *= n;
        if (elements > kMaxElements) return false;
    }
    return true;
}

MakeOp find_operator(const std::string& name) {
    for (const OpEntry* entry = operators(); entry->name != nullptr; ++entry)
        if (name == entry->name) return entry->make;
    return nullptr;
}

}  // namespace

std::shared_ptr<const Model> Model::build(ModelSpec spec) {
    kernels::table();  // an arm that cannot run is an error here, not in a step
    const std::shared_ptr<Model> model(new Model(std::move(spec)));
    model->add_input();
    std::vector<std::vector<int>> inputs;
    for (size_t i = 0; i < model->spec_.nodes.size(); ++i) {
        inputs.emplace_back();
        for (const std::string& name : model->spec_.nodes[i].inputs) inputs.back().push_back(model->value(name));
        model->add_node(i);
    }
    model->check_states();
    for (const std::string& name : model->spec_.outputs) {
        const int value = model->value(name);
        if (value < 0 || model->type(value).kind == Kind::window)
            throw Error(ErrorKind::model, "output '" + name + "' is made by no node");
        if (name == model->spec_.readout) model->readout_ = static_cast<int>(model->outputs_.size());
        model->outputs_.push_back(value);
    }
    if (model->outputs_.empty()) throw Error(ErrorKind::model, "model has no outputs");
    if (!model->spec_.readout.empty() && model->readout_ < 0)
        throw Error(ErrorKind::model, "readout is not an output", "readout", model->spec_.readout);
    model->plan_ = make_plan(model->spec_, model->ops_, model->types_, inputs, model->outputs_);
    make_layout(model->plan_, model->types_, model->outputs_);  // refuses a model that needs too much memory
    return model;
}

void Model::add_input() {
    const InputSpec& input = spec_.input;
    if (input.kind != "points" && input.kind != "dense") fail_input("kind is not known", input.kind);
    const ValueType type = input.kind == "points" ? points_type(input) : dense_type(input);
    if (type.shape.empty() || !sizes_fit(type.shape)) fail_input("shape is wrong", describe(type));
    names_ = {"input"};
    types_ = {type};
}

void Model::add_node(size_t index) {
    const NodeSpec& node = spec_.nodes[index];
    const std::string where = "node '" + node.name + "'";
    std::vector<ValueType> inputs;
    for (const std::string& name : node.inputs) {
        const int found = value(name);
        if (found < 0) throw Error(ErrorKind::model, "input '" + name + "' is made by no earlier node", where);
        inputs.push_back(type(found));
    }
    const MakeOp make = find_operator(node.op);
    if (make == nullptr) throw Error(ErrorKind::model, "operator is not known", where, node.op);
    std::unique_ptr<Op> op = make(NodeView(node, std::move(inputs), spec_.input));
    for (size_t i = 0; i < op->outputs.size(); ++i) {
        if (value(node.outputs[i]) >= 0)
            throw Error(ErrorKind::model, "value '" + node.outputs[i] + "' is made twice", where);
        if (op->outputs[i].shape.empty() || !sizes_fit(op->outputs[i].shape))
            throw Error(ErrorKind::model, "value is too large", where, describe(op->outputs[i]));
        names_.push_back(node.outputs[i]);
        types_.push_back(op->outputs[i]);
    }
    ops_.push_back(std::move(op));
}

void Model::check_states() const {
    size_t index = 0;
    for (size_t n = 0; n < ops_.size(); ++n)
        for (const OpState& state : ops_[n]->states) {
            const std::string name = spec_.nodes[n].name + "." + state.suffix;
            if (index >= spec_.states.size()) throw Error(ErrorKind::model, "state is missing", name);
            const StateSpec& found = spec_.states[index++];
            if (found.name != name || found.shape != state.shape || found.dtype != state.dtype)
                throw Error(ErrorKind::model, "state is not the graph's", name, found.name);
            if (found.reset != "window" && found.reset != "never")
                throw Error(ErrorKind::model, "reset policy is not known", name, found.reset, "window or never");
        }
    if (index != spec_.states.size())
        throw Error(ErrorKind::model, "state is not the graph's", spec_.states[index].name);
}

int Model::value(const std::string& name) const noexcept {
    const auto it = std::find(names_.begin(), names_.end(), name);
    return it == names_.end() ? -1 : static_cast<int>(it - names_.begin());
}

std::vector<int> Model::outputs_of(const std::string& name) const {
    for (const NodeSpec& node : spec_.nodes) {
        if (node.name != name) continue;
        std::vector<int> values;
        for (const std::string& output : node.outputs) values.push_back(value(output));
        return values;
    }
    throw Error(ErrorKind::usage, "no node of that name", name);
}

}  // namespace edgesnn::executor
