// One bind function a room; module.cpp calls them all and translates errors.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/error.hpp"
#include "base/state_io.hpp"

namespace edgesnn::bindings {

// Raises the class of edgesnn/errors.py that the status names. Call with the GIL held.
[[noreturn]] void raise(const Status& status);

// The same as an exception object that is not raised yet.
pybind11::object to_exception(const Status& status);

// Snapshot tensors as {name: numpy array}, and back. Copies.
pybind11::dict to_dict(const StateTensors& tensors);
StateTensors from_dict(const pybind11::dict& arrays);

void bind_events(pybind11::module_& m);      // _native.events:   decoders
void bind_filters(pybind11::module_& room);  // in _native.events
void bind_encode(pybind11::module_& m);      // _native.encode:   points
void bind_executor(pybind11::module_& m);    // _native.executor: models, sessions
void bind_pipeline(pybind11::module_& m);    // _native.pipeline: the chain

}  // namespace edgesnn::bindings
