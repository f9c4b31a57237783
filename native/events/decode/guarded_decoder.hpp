// What the AEDAT formats share: an event well ahead of the clock waits until those after it say whether the clock
// moved. docs/formats.md, "The clock of AEDAT".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "events/decode/decoder.hpp"

namespace edgesnn::events {

class GuardedDecoder : public Decoder {
  protected:
    static constexpr int64_t kAheadUs = 1'000'000;
    static constexpr size_t kRun = 6;  // so many events onward of each other, of two packets, are a clock of their own

    // Where an event lies: byte of the stream, and its number (of the stream, of its packet), for messages.
    struct Place {
        int64_t at = 0;
        int64_t number = 0;
    };

    // title: of the format, in messages. packets: its events lie in packets, of which next_packet() tells.
    GuardedDecoder(const char* name, const char* title, DecoderOptions options, int32_t field_width,
                   int32_t field_height, bool packets);
    void next_packet() noexcept { ++packet_; }

    // Times from 0 up to this (exclusive) are believed at once; 0 while something waits or before the first.
    int64_t bound() const noexcept { return held_.empty() ? bound_ : 0; }
    // The bound after an event at t_us that bound() allowed.
    static int64_t moved(int64_t bound, int64_t t_us) noexcept {
        return t_us + kAheadUs + 1 > bound ? t_us + kAheadUs + 1 : bound;
    }
    void set_bound(int64_t bound) noexcept { bound_ = bound; }  // what moved() made of a bound() that was not 0
    bool known() const noexcept { return bound_ != 0; }
    int64_t latest_us() const noexcept { return bound_ - kAheadUs - 1; }  // of the events believed; where known()
    const Event* last_held() const noexcept { return held_.empty() ? nullptr : &held_.back().event; }

    // Any event: believes it, lets it wait, or counts it. What was decoded before must have been appended.
    Status judge(const Event& event, Place place, std::vector<Event>& out);
    // No event follows: those that wait are believed.
    Status settle_held(std::vector<Event>& out);
    // A trigger moves the time reached if it is not far ahead of it. Events before it must have been appended.
    void trigger(int64_t t_us, uint8_t id, uint8_t p);
    Status bad_record(Place place, const std::string& what);

    void save_guard(StateWriter& writer) const;
    void load_guard(const StateReader& reader);  // throws Error{model} and changes nothing then

  private:
    struct Held {
        Event event;
        Place place;
        int64_t packet = 0;
    };

    Status drop_last();
    bool agreed() const noexcept;
    Status believe(const Held& held, std::vector<Event>& out);

    const char* title_;
    bool packets_;
    int64_t packet_ = 0;
    int64_t bound_ = 0;
    std::vector<Held> held_;
};

}  // namespace edgesnn::events
