// The door between the stream and a model's input: a window of events becomes what the model takes.
#pragma once

#include <cstdint>
#include <variant>

#include "base/event.hpp"
#include "base/span.hpp"
#include "base/stage.hpp"
#include "encode/point_window.hpp"
#include "encode/spike_window.hpp"

namespace edgesnn::encode {

struct Sensor {
    int32_t width = 0;
    int32_t height = 0;
};

// A window of the stream, as the cutter gives it: at least one event, or none where the encoder takes that; each inside
// the sensor; times that step back count as the largest before them.
struct EventWindow {
    Span<const Event> events;
    Sensor sensor;
    int64_t number = 0;
    uint64_t first_event = 0;  // index in the stream of events[0]
    int64_t t0_us = 0;
};

// What models take. An encoder always makes the same alternative, so its memory is used again.
using Encoded = std::variant<PointWindow, SpikeWindow>;

// A stage: what it counts is in its section, which is empty where it counts nothing. Not for two threads at a time.
class Encoder : public Stage {
  public:
    // Throws Error{model} for a sensor that the encoding does not fit.
    virtual void check_sensor(Sensor sensor) const = 0;
    virtual void encode(const EventWindow& window, Encoded& out) = 0;

    const char* section() const noexcept override { return "encode"; }
};

}  // namespace edgesnn::encode
