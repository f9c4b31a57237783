#include "bindings/executor_model.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using namespace executor;

// Arrays that a model points into; released with the GIL held, from whichever thread drops the last reference.
std::shared_ptr<const void> keep(const py::object& objects) {
    return {new py::object(objects), [](const py::object* held) {
                const py::gil_scoped_acquire locked;
                delete held;
            }};
}

Dtype dtype_of(const py::array& data, const std::string& name) {
    if (data.dtype().equal(py::dtype::of<int8_t>())) return Dtype::i8;
    if (data.dtype().equal(py::dtype::of<uint8_t>())) return Dtype::u8;
    if (data.dtype().equal(py::dtype::of<int32_t>())) return Dtype::i32;
    if (data.dtype().equal(py::dtype::of<float>())) return Dtype::f32;
    throw Error(ErrorKind::model, "tensor type is not used", name, py::str(py::object(data.dtype())));
}

TensorSpec tensor_spec(const py::handle& source) {
    TensorSpec tensor;
    tensor.name = source.attr("name").cast<std::string>();
    tensor.layout = source.attr("layout").cast<std::string>();
    tensor.shape = source.attr("shape").cast<Shape>();
    const py::array data = source.attr("data").cast<py::array>();
    tensor.dtype = dtype_of(data, tensor.name);
    if ((data.flags() & py::array::c_style) == 0)
        throw Error(ErrorKind::model, "tensor is not contiguous", tensor.name);
    tensor.data = data.data();
    tensor.stored.assign(data.shape(), data.shape() + data.ndim());
    return tensor;
}

Attribute attribute(const py::handle& value, const std::string& name) {
    if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
    if (py::isinstance<py::int_>(value)) return value.cast<int64_t>();
    if (py::isinstance<py::float_>(value)) return value.cast<double>();
    if (py::isinstance<py::str>(value)) return value.cast<std::string>();
    if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) return value.cast<Shape>();
    throw Error(ErrorKind::model, "attribute is no text, number, flag or list of integers", name);
}

NodeSpec node_spec(const py::handle& source) {
    NodeSpec node;
    node.name = source.attr("name").cast<std::string>();
    node.op = source.attr("op").cast<std::string>();
    node.inputs = source.attr("inputs").cast<std::vector<std::string>>();
    node.outputs = source.attr("outputs").cast<std::vector<std::string>>();
    for (const auto& [name, value] : source.attr("attributes").cast<py::dict>())
        node.attributes[name.cast<std::string>()] = attribute(value, name.cast<std::string>());
    for (const auto& [role, tensor] : source.attr("tensors").cast<py::dict>())
        node.tensors[role.cast<std::string>()] = tensor_spec(tensor);
    return node;
}

InputSpec input_spec(const py::dict& source) {
    InputSpec input;
    input.kind = source["kind"].cast<std::string>();
    if (input.kind == "points") {
        input.points = source["points"].cast<int64_t>();
        input.groups = source["groups"].cast<int64_t>();
        input.neighbours = source["neighbours"].cast<int64_t>();
        input.steps = source["steps"].cast<int64_t>();
        input.seed = source["seed"].cast<uint64_t>();
    } else if (input.kind == "tokens") {
        input.vocab = source["vocab"].cast<int64_t>();
    } else {
        input.shape = source["shape"].cast<Shape>();
        input.value = source["value"].cast<std::string>();
        input.bound = source["bound"].cast<int64_t>();
    }
    return input;
}

StateSpec state_spec(const py::handle& source) {
    const auto dtype = source.attr("dtype").cast<std::string>();
    StateSpec state;
    state.name = source.attr("name").cast<std::string>();
    state.shape = source.attr("shape").cast<Shape>();
    state.dtype = dtype == "float32" ? Dtype::f32
                  : dtype == "int32" ? Dtype::i32
                  : dtype == "uint8" ? Dtype::u8
                                     : Dtype::i64;
    state.initial = source.attr("initial").cast<double>();
    state.reset = source.attr("reset").cast<std::string>();
    return state;
}

}  // namespace

ModelSpec model_spec(const py::dict& source) {
    ModelSpec spec;
    spec.identity = source["identity"].cast<std::string>();
    spec.input = input_spec(source["input"].cast<py::dict>());
    for (const py::handle node : source["nodes"]) spec.nodes.push_back(node_spec(node));
    for (const py::handle state : source["states"]) spec.states.push_back(state_spec(state));
    spec.outputs = source["outputs"].cast<std::vector<std::string>>();
    spec.readout = source["readout"].cast<std::string>();
    spec.keepalive = keep(source);
    return spec;
}

}  // namespace edgesnn::bindings
