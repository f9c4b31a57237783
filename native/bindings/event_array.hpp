// edgesnn.EVENT arrays at the door: checked, then seen as packed native events.
#pragma once

#include <string>

#include "base/event.hpp"
#include "base/span.hpp"
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

// A C-contiguous array of exactly one of edgesnn.events.types, as native records; the span lives as long as `holder`.
template <typename Record>
struct RecordArray {
    RecordArray(const pybind11::object& records, const std::string& name, const char* type) {
        namespace py = pybind11;
        const py::dtype wanted = py::module_::import("edgesnn.events.types").attr(type).template cast<py::dtype>();
        if (!py::isinstance<py::array>(records))
            throw Error(ErrorKind::usage, name + " are not an array", name, py::str(py::type::of(records)),
                        std::string("a numpy array of dtype edgesnn.events.types.") + type);
        holder = records.cast<py::array>();
        if (!holder.dtype().equal(wanted) || holder.ndim() != 1)
            throw Error(ErrorKind::usage, name + " have another layout", name,
                        std::string(py::str(holder.dtype())) + " with " + std::to_string(holder.ndim()) + " dimensions",
                        std::string("one dimension of dtype edgesnn.events.types.") + type);
        holder = py::array::ensure(holder, py::array::c_style);
        span = {static_cast<const Record*>(holder.data()), static_cast<size_t>(holder.size())};
    }
    pybind11::array holder;
    Span<const Record> span;
};
struct EventArray : RecordArray<Event> {
    explicit EventArray(const pybind11::object& events) : RecordArray(events, "events", "EVENT") {}
};
struct TriggerArray : RecordArray<Trigger> {
    explicit TriggerArray(const pybind11::object& triggers) : RecordArray(triggers, "triggers", "TRIGGER") {}
};

}  // namespace edgesnn::bindings
