// edgesnn._native: the core, seen from Python. Errors become the classes of edgesnn/errors.py; snapshot tensors become
// numpy arrays. What each room offers is bound in the file of its name.
#include <cstring>
#include <exception>

#include "bindings/bindings.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

// The class that a kind maps to. `none` and `internal` are mistakes of ours, not a user's: RuntimeError, exit code 1.
const char* class_name(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::usage:
            return "UsageError";
        case ErrorKind::recording:
            return "RecordingError";
        case ErrorKind::model:
            return "ModelError";
        case ErrorKind::config:
            return "ConfigError";
        case ErrorKind::publish:
            return "PublishError";
        case ErrorKind::backend:
            return "BackendError";
        case ErrorKind::none:
        case ErrorKind::internal:
            break;
    }
    return nullptr;
}

// Text that may hold a damaged file's bytes.
py::object as_text(const std::string& text) {
    return py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

py::object text_or_none(const std::string& text) {
    return text.empty() ? py::object(py::none()) : as_text(text);
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
        const py::object exception = to_exception(error.status());
        PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
    }
}

}  // namespace

py::object to_exception(const Status& status) {
    const char* name = class_name(status.kind);
    if (name == nullptr) {
        const std::string where = status.where.empty() ? "" : " (" + status.where + ")";
        return py::handle(PyExc_RuntimeError)("internal error: " + status.what + where);
    }
    const py::object type = py::module_::import("edgesnn.errors").attr(name);
    const py::object offset = status.offset < 0 ? py::object(py::none()) : py::object(py::int_(status.offset));
    return type(status.what, py::arg("where") = text_or_none(status.where), py::arg("offset") = offset,
                py::arg("found") = text_or_none(status.found), py::arg("expected") = text_or_none(status.expected),
                py::arg("hint") = text_or_none(status.hint));
}

void raise(const Status& status) {
    const py::object exception = to_exception(status);
    PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
    throw py::error_already_set();
}

py::dict to_dict(const StateTensors& tensors) {
    py::dict arrays;
    for (const auto& [name, tensor] : tensors) {
        py::array array(py::dtype(tensor.dtype), tensor.shape);
        if (!tensor.bytes.empty()) std::memcpy(array.mutable_data(), tensor.bytes.data(), tensor.bytes.size());
        arrays[py::str(name)] = array;
    }
    return arrays;
}

StateTensors from_dict(const py::dict& arrays) {
    StateTensors tensors;
    for (const auto& [name, value] : arrays) {
        const py::array array = py::array::ensure(value, py::array::c_style);
        if (!array) throw Error(ErrorKind::model, "snapshot tensor is not an array", py::str(name));
        StateTensor tensor{py::str(array.dtype().attr("str")), {}, {}};
        tensor.shape.assign(array.shape(), array.shape() + array.ndim());
        tensor.bytes.resize(static_cast<size_t>(array.nbytes()));
        if (!tensor.bytes.empty()) std::memcpy(tensor.bytes.data(), array.data(), tensor.bytes.size());
        tensors[py::str(name)] = std::move(tensor);
    }
    return tensors;
}

}  // namespace edgesnn::bindings

PYBIND11_MODULE(_native, m) {
    using namespace edgesnn::bindings;
    m.doc() = "The native core of edgesnn. Private: use the public names of the package.";
    py::register_exception_translator(&translate);
    bind_events(m);
    bind_encode(m);
    bind_executor(m);
    bind_pipeline(m);
}
