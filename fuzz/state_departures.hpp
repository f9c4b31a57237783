// Saved states that are not as they were saved: cut, of other types and shapes, with other bytes and names.
#pragma once

#include "base/state_io.hpp"
#include "bytes.hpp"

namespace edgesnn::fuzz {

// One to four departures of `tensors`, as the bytes say.
StateTensors depart(StateTensors tensors, Bytes& bytes);

}  // namespace edgesnn::fuzz
