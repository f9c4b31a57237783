// How events of another sensor come onto the model's (docs/arithmetic.md, section 10). Integers throughout; the
// readable form is edgesnn/encode/adapt.py.
#pragma once

#include <cstdint>
#include <vector>

#include "encode/encoder.hpp"

namespace edgesnn::encode {

enum class Adapt { none, letterbox, crop, downsample };

// Where each column and row of a sensor lies on the model's; -1: outside.
struct Placement {
    std::vector<int32_t> columns;
    std::vector<int32_t> rows;
};

// Throws Error{model} where the model takes no events of that sensor.
Placement place(Adapt adapt, Sensor from, Sensor onto);

}  // namespace edgesnn::encode
