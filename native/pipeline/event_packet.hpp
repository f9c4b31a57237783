// What passes from the thread that reads to the one that decides.
#pragma once

#include <cstdint>
#include <vector>

#include "base/event.hpp"
#include "events/decode/decoder.hpp"

namespace edgesnn::pipeline {

// When a packet came in and what its sender knew.
struct Stamp {
    bool given = false;
    int64_t stamp_ns = 0;    // the host stamp given with it
    int64_t arrived_ns = 0;  // monotonic clock at its push, or at its reading
    int64_t queued_ns = 0;   // the same when it was decoded and waited for its reader; 0: in the caller's thread
};

struct EventPacket {
    std::vector<Event> events;
    int64_t t_end_us = events::kNoTime;  // reached after the events
    Stamp stamp;
    int64_t lost = 0;  // events that the ring dropped since the packet before
};

}  // namespace edgesnn::pipeline
