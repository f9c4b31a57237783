// edgesnn.EVENT arrays at the door: checked, then seen as packed native events.
#pragma once

#include <pybind11/gil_safe_call_once.h>

#include <string>
#include <type_traits>

#include "base/event.hpp"
#include "base/span.hpp"
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

// edgesnn.events.types.EVENT or TRIGGER, looked up once.
template <typename Record>
const pybind11::dtype& record_dtype() {
    namespace py = pybind11;
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::dtype> stored;
    constexpr const char* kName = std::is_same_v<Record, Event> ? "EVENT" : "TRIGGER";
    return stored
        .call_once_and_store_result(
            [] { return py::module_::import("edgesnn.events.types").attr(kName).template cast<py::dtype>(); })
        .get_stored();
}

// A C-contiguous array of exactly one of edgesnn.events.types, as native records; the span lives as long as `holder`.
template <typename Record>
struct RecordArray {
    RecordArray(const pybind11::object& records, const std::string& name, const char* type) {
        namespace py = pybind11;
        if (!py::isinstance<py::array>(records))
            throw Error(ErrorKind::usage, name + " are not an array", name, py::str(py::type::of(records)),
                        std::string("a numpy array of dtype edgesnn.events.types.") + type);
        holder = records.cast<py::array>();
        const py::dtype& wanted = record_dtype<Record>();
        if ((!holder.dtype().is(wanted) && !holder.dtype().equal(wanted)) || holder.ndim() != 1)
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
