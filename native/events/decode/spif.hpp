// Datagrams of SPIF, the event interface of SpiNNaker boards. docs/sources.md, "SPIF".
//
// Little-endian 32-bit words. An event: bits 30-16 x, 15 polarity, 14-0 y; bit 31 clear: a word of microseconds
// follows. A datagram holds whole events, so nothing of one leans on another but the turns of the 32-bit time.
#pragma once

#include <cstdint>
#include <vector>

#include "base/event.hpp"
#include "base/span.hpp"

namespace edgesnn::events {

class SpifDecoder {
  public:
    struct Counters {
        int64_t out_of_range = 0;     // events outside the sensor
        int64_t truncated_bytes = 0;  // of a last event that is not whole
    };

    // width, height: exclusive bounds; 0: the fields bound.
    SpifDecoder(int32_t width, int32_t height) noexcept;

    // Appends the datagram's events to `out`. `now_us` is the time of those that have none.
    void feed(Span<const uint8_t> datagram, int64_t now_us, std::vector<Event>& out);
    const Counters& counters() const noexcept { return counters_; }

  private:
    // The time of 64 bits with these low ones that is nearest to the one before it.
    int64_t turned(uint32_t low) noexcept;

    uint32_t width_;
    uint32_t height_;
    int64_t t_us_ = -1;  // of the last event with a time, -1: none yet
    Counters counters_;
};

}  // namespace edgesnn::events
