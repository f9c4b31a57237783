// edgesnn.EVENT arrays at the door: checked, then seen as packed native events.
#pragma once

#include <string>

#include "base/event.hpp"
#include "base/span.hpp"
#include "bindings/bindings.hpp"

namespace edgesnn::bindings {

// A C-contiguous array of exactly edgesnn.EVENT, as native events; the span lives as long as `holder`.
struct EventArray {
    explicit EventArray(const pybind11::object& events) {
        namespace py = pybind11;
        const py::dtype wanted = py::module_::import("edgesnn.events.types").attr("EVENT").cast<py::dtype>();
        if (!py::isinstance<py::array>(events))
            throw Error(ErrorKind::usage, "events are not an array", "events", py::str(py::type::of(events)),
                        "a numpy array of dtype edgesnn.EVENT");
        holder = events.cast<py::array>();
        if (!holder.dtype().equal(wanted) || holder.ndim() != 1)
            throw Error(ErrorKind::usage, "events have another layout", "events",
                        std::string(py::str(holder.dtype())) + " with " + std::to_string(holder.ndim()) + " dimensions",
                        "one dimension of dtype edgesnn.EVENT");
        holder = py::array::ensure(holder, py::array::c_style);
        span = {static_cast<const Event*>(holder.data()), static_cast<size_t>(holder.size())};
    }
    pybind11::array holder;
    Span<const Event> span;
};

}  // namespace edgesnn::bindings
