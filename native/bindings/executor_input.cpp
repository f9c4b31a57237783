#include "bindings/executor_input.hpp"

#include <algorithm>

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using executor::Kind;
using executor::Model;
using executor::ValueType;

// One step's indices: within the input, ascending, none above the bound. Throws Error{model}.
void check_list(const ValueType& type, const uint32_t* index, int64_t begin, int64_t end, bool count) {
    const auto size = static_cast<int64_t>(executor::elements(type.shape));
    int64_t run = 0;
    for (int64_t i = begin; i < end; ++i) {
        if (index[i] >= size)
            fail_input("index is out of range", std::to_string(index[i]), "0 to " + std::to_string(size - 1));
        const bool first = i == begin;
        if (!first && index[i] < index[i - 1])
            fail_input("indices are not ascending", std::to_string(index[i]),
                       "at least " + std::to_string(index[i - 1]));
        run = !first && index[i] == index[i - 1] ? run + 1 : 1;
        if (count && run > type.bound)
            fail_input("an input stands more often than its bound", std::to_string(run),
                       "at most " + std::to_string(type.bound));
    }
}

void check_tokens(const ValueType& type, const py::array& xs) {
    const auto* tokens = static_cast<const int64_t*>(xs.data());
    for (py::ssize_t i = 0; i < xs.size(); ++i)
        if (tokens[i] < 0 || tokens[i] > type.bound)
            fail_input("token is not in the vocabulary", std::to_string(tokens[i]),
                       "0 to " + std::to_string(type.bound));
}

// Copies indices of 64 bits; one that is negative or does not fit becomes the largest, which no input has.
const uint32_t* narrowed(const py::array& array, std::vector<uint32_t>& room) {
    const auto* wide = static_cast<const int64_t*>(array.data());
    room.resize(std::max<size_t>(static_cast<size_t>(array.size()), 1));
    for (py::ssize_t i = 0; i < array.size(); ++i)
        room[static_cast<size_t>(i)] =
            wide[i] < 0 || wide[i] > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(wide[i]);
    return room.data();
}

// Whether an array's last axes are an input as it lies in memory, after `lead` others, its values within what the input
// allows.
bool holds(const ValueType& type, const py::handle& x, size_t lead) {
    if ((type.kind != Kind::real && type.kind != Kind::integer) || !py::isinstance<py::array>(x)) return false;
    const auto array = py::reinterpret_borrow<py::array>(x);
    const bool real = type.kind == Kind::real;
    if (!lies_as(array, real ? 'f' : 'u', real ? sizeof(float) : sizeof(uint8_t)) ||
        static_cast<size_t>(array.ndim()) != lead + type.shape.size() ||
        !std::equal(type.shape.begin(), type.shape.end(), array.shape() + lead))
        return false;
    const auto size = static_cast<size_t>(array.size());
    if (real) {
        const auto* values = static_cast<const float*>(array.data());
        float zero = 0.0F;  // stays so unless a value is infinite or no number
        for (size_t i = 0; i < size; ++i) zero += values[i] * 0.0F;
        return zero == 0.0F;
    }
    const auto* values = static_cast<const uint8_t*>(array.data());
    uint8_t largest = 0;
    for (size_t i = 0; i < size; ++i) largest = std::max(largest, values[i]);
    return largest <= type.bound;
}

}  // namespace

void fail_input(const std::string& what, const std::string& found, const std::string& expected) {
    throw Error(ErrorKind::model, what, "input", found, expected);
}

executor::ArraySource array_source(const Model& model, const py::array& xs) {
    const auto& type = model.type(0);
    if (type.kind == Kind::window) fail_input("model takes windows of points, not arrays", "array", "points");
    const bool fits =
        xs.ndim() >= 1 &&
        (type.kind == Kind::token  ? lies_as(xs, 'i', sizeof(int64_t))
         : type.kind == Kind::real ? lies_as(xs, 'f', sizeof(float))
                                   : lies_as(xs, 'u', sizeof(uint8_t))) &&
        static_cast<size_t>(xs.size()) == static_cast<size_t>(xs.shape(0)) * executor::elements(type.shape);
    if (!fits) fail_input("array has another type or size", py::str(py::object(xs.dtype())), describe(type));
    if (type.kind == Kind::token) check_tokens(type, xs);
    return {type, xs.data()};
}

executor::EventSource event_source(const Model& model, const Indices& indices, const Offsets& offsets, bool count) {
    const auto& type = model.type(0);
    if (type.kind != Kind::integer) fail_input("model takes no lists of active inputs", describe(type), "kind spikes");
    const int64_t* offset = offsets.data();
    if (!lies_as(indices, 'u', sizeof(uint32_t)) || !lies_as(offsets, 'i', sizeof(int64_t)))
        fail_input("indices or offsets lie crooked in memory", "no alignment", "aligned arrays");
    if (indices.ndim() != 1 || offsets.ndim() != 1 || offsets.size() < 1 || offset[0] != 0 ||
        offset[offsets.size() - 1] != indices.size())
        fail_input("offsets do not fit the indices", std::to_string(offsets.size()) + " offsets",
                   "0, .., " + std::to_string(indices.size()));
    for (py::ssize_t step = 0; step + 1 < offsets.size(); ++step) {
        if (offset[step + 1] < offset[step] || offset[step + 1] > indices.size())
            fail_input("offsets do not ascend", std::to_string(offset[step + 1]), std::to_string(offset[step]));
        check_list(type, indices.data(), offset[step], offset[step + 1], count);
    }
    return {type, indices.data(), offset, count};
}

bool lies_as(const py::array& array, char kind, size_t bytes) {
    constexpr int flags = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    const py::dtype dtype = array.dtype();
    const char order = dtype.byteorder();
    return dtype.kind() == kind && static_cast<size_t>(dtype.itemsize()) == bytes && (order == '=' || order == '|') &&
           (array.flags() & flags) == flags;
}

std::optional<int64_t> token_of(const Model& model, const py::handle& x) {
    const ValueType& type = model.type(0);
    if (type.kind != Kind::token || !PyLong_CheckExact(x.ptr())) return std::nullopt;
    int overflow = 0;
    const int64_t token = PyLong_AsLongLongAndOverflow(x.ptr(), &overflow);
    if (overflow != 0 || token < 0 || token > type.bound) return std::nullopt;
    return token;
}

bool is_input(const Model& model, const py::handle& x) {
    return holds(model.type(0), x, 0);
}

bool is_inputs(const Model& model, const py::handle& xs) {
    return holds(model.type(0), xs, 1);
}

bool are_lists(const Model& model, const Indices& indices, const Offsets& offsets, bool count) {
    try {
        event_source(model, indices, offsets, count);
    } catch (const Error&) {
        return false;
    }
    return true;
}

ActiveList active_list(const Model& model, const py::handle& active, bool count, std::vector<uint32_t>& room) {
    constexpr ActiveList none{nullptr, {0, 0}};
    const auto& type = model.type(0);
    if (type.kind != Kind::integer || !py::isinstance<py::array>(active)) return none;
    const auto array = py::reinterpret_borrow<py::array>(active);
    if (array.ndim() != 1) return none;
    const bool narrow = lies_as(array, 'u', sizeof(uint32_t));
    if (!narrow && !lies_as(array, 'i', sizeof(int64_t))) return none;
    const ActiveList list{narrow ? static_cast<const uint32_t*>(array.data()) : narrowed(array, room),
                          {0, static_cast<int64_t>(array.size())}};
    try {
        check_list(type, list.indices, 0, list.offsets[1], count);
    } catch (const Error&) {
        return none;
    }
    return list;
}

}  // namespace edgesnn::bindings
