// One event, as edgesnn.EVENT: 13 bytes, packed, little-endian.
#pragma once

#include <cstdint>

namespace edgesnn {

#pragma pack(push, 1)
struct Event {
    int64_t t;   // microseconds, as the format's rules give it
    uint16_t x;  // column, < width
    uint16_t y;  // row, < height
    uint8_t p;   // polarity, 0 or 1
};
// An external trigger edge, as edgesnn.events.TRIGGER: 10 bytes.
struct Trigger {
    int64_t t;
    uint8_t id;  // channel
    uint8_t p;   // edge: 1 rising, 0 falling
};
#pragma pack(pop)
constexpr int64_t kTimeLimit = int64_t{1} << 60;  // |t| of an event, in microseconds (36,000 years), is below this

static_assert(sizeof(Event) == 13 && sizeof(Trigger) == 10, "packed");

}  // namespace edgesnn
