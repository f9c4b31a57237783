// The events of ROS messages but for encoding evt3: packets that `formats/ros_packets.py` frames. docs/formats.md, "ROS
// messages".
//
// A packet is a header of 32 bytes, little-endian: "EVPK"; uint8 kind; uint8 1 where packets before it are missing; two
// spare bytes; int64 nanoseconds that its times count from; int64 bytes behind the header; int64 where those lie in
// the file, for messages.
#pragma once

#include <array>

#include "events/decode/event_block.hpp"
#include "events/decode/guarded_decoder.hpp"

namespace edgesnn::events {

class RosDecoder final : public GuardedDecoder {
  public:
    explicit RosDecoder(DecoderOptions options);

  private:
    static constexpr size_t kHeader = 32;

    // dvs13, dvs16: records of dvs_msgs/Event, packed (ROS 1) and aligned (ROS 2).
    enum Kind : uint8_t { kDvs13, kDvs16, kMono, kLibcaer, kLibcaerCmp, kKinds };

    // What is left of the packet, and what its words lean on. -1: not seen yet.
    struct State {
        int64_t kind = kDvs13;
        int64_t base_ns = 0;
        int64_t bytes_left = 0;
        int64_t number = 0;     // of the next record in the packet
        int64_t place = 0;      // of the next record in the file
        int64_t turns_us = 0;   // libcaer: added since its time started again
        int64_t last_low = -1;  // libcaer: time of the record before, of this packet
        int64_t since_us = 0;   // libcaer_cmp: time words of this packet
        int64_t x = -1;
        int64_t base_y = -1;
        int64_t base_p = 0;
        int64_t lost = 0;  // a header is searched for
    };
    static constexpr size_t kValues = sizeof(State) / sizeof(int64_t);

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    size_t header(Span<const uint8_t> bytes, Status& status);
    Status begin();
    size_t content(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status);
    Status end_packet();
    Status run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out);
    template <typename Record>
    Status run_records(const uint8_t* at, const uint8_t* end, std::vector<Event>& out);
    Status run_words(const uint8_t* at, const uint8_t* end, std::vector<Event>& out);
    Status word(uint32_t word, std::vector<Event>& out);
    Status vector(uint32_t mask, std::vector<Event>& out);
    Status put(int64_t y, int64_t p, std::vector<Event>& out);
    int64_t turned(int64_t low) noexcept;
    Place place() const noexcept { return {now_.place, now_.number}; }

    State now_;
    std::array<uint8_t, kHeader> carry_{};  // of a header, or of a record
    size_t carried_ = 0;
};

}  // namespace edgesnn::events
