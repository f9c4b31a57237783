// What the bindings of decoders share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "events/decode/decoder.hpp"

namespace edgesnn::bindings {

pybind11::dict counter_dict(const events::Counters& counters);
pybind11::object time_or_none(int64_t t_us);  // None for kNoTime

void bind_aedat4(pybind11::module_& room);  // into _native.events
void bind_rows(pybind11::module_& room);
void bind_spif(pybind11::module_& room);

}  // namespace edgesnn::bindings
