// What the calls of a session take from Python: arrays as they lie in memory, and lists of active inputs; all that the
// executor relies on is checked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "executor/session.hpp"

namespace edgesnn::bindings {

using Indices = pybind11::array_t<uint32_t, pybind11::array::c_style>;
using Offsets = pybind11::array_t<int64_t, pybind11::array::c_style>;

[[noreturn]] void fail_input(const std::string& what, const std::string& found, const std::string& expected);

// The rows of an array [steps, ...input.shape] of the input's type; edgesnn/runtime checked the values of all but
// tokens. The array must outlive the source. Throws Error{model}.
executor::ArraySource array_source(const executor::Model& model, const pybind11::array& xs);

// Lists of active inputs; `count`: a repeated one adds up. The arrays must outlive the source. Throws Error{model}.
executor::EventSource event_source(const executor::Model& model, const Indices& indices, const Offsets& offsets,
                                   bool count);

// Whether an array's elements lie in C order, aligned, in this machine's byte order, and are of this kind and size.
bool lies_as(const pybind11::array& array, char kind, size_t bytes);

// A token of the vocabulary, where the model takes tokens and the object is a plain Python integer.
std::optional<int64_t> token_of(const executor::Model& model, const pybind11::handle& x);

// Whether an object is an array exactly as the input lies in memory, its values within what the input allows.
bool is_input(const executor::Model& model, const pybind11::handle& x);

// The same for an array [steps, ...] of inputs.
bool is_inputs(const executor::Model& model, const pybind11::handle& xs);

// Whether lists of active inputs are what `event_source` takes.
bool are_lists(const executor::Model& model, const Indices& indices, const Offsets& offsets, bool count);

// A step's list of active inputs.
struct ActiveList {
    const uint32_t* indices;  // null: it needs another conversion, or an error
    int64_t offsets[2];
};

// The list of an array of uint32 as it lies, or of int64 copied to `room`; nothing where the model cannot take it.
ActiveList active_list(const executor::Model& model, const pybind11::handle& active, bool count,
                       std::vector<uint32_t>& room);

}  // namespace edgesnn::bindings
