// cAER's AEDAT 3.1: packets of polarity and special events, others are passed over. docs/formats.md, "AEDAT3.1".
#pragma once

#include <array>

#include "events/decode/event_block.hpp"
#include "events/decode/guarded_decoder.hpp"

namespace edgesnn::events {

class Aedat31Decoder final : public GuardedDecoder {
  public:
    explicit Aedat31Decoder(DecoderOptions options);

  private:
    static constexpr size_t kHeader = 28;
    static constexpr size_t kRecord = 8;

    struct Packet {
        int32_t type = 0;
        int32_t source = 0;
        int32_t overflow = 0;
        int64_t number = 0;    // of events
        int64_t bytes = 0;     // behind the header
        int64_t capacity = 0;  // events that there is room for
        bool sane = false;     // it may be a header
        bool plain = false;    // polarity or special events: what a search stops at
    };

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    static Packet parse(const uint8_t* at) noexcept;
    size_t header(Span<const uint8_t> bytes, Status& status);
    size_t content(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status);
    Status begin(const Packet& packet);
    bool overflow_fits(int32_t overflow) noexcept;
    Status run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out);
    Status record(uint32_t data, int32_t time, std::vector<Event>& out);
    Status lose(const char* what);

    int64_t position_ = 0;  // bytes seen
    int64_t start_ = 0;     // of the packet
    int32_t type_ = 0;      // what its events are
    int64_t base_us_ = 0;
    int64_t events_left_ = 0;  // of the packet, that are read
    int64_t bytes_left_ = 0;   // of the packet
    int64_t number_ = 0;       // of the next event in it
    int64_t source_ = -1;      // the camera that is read, -1: none yet
    int64_t overflow_ = -1;    // of the last packet that was believed, -1: none yet
    int64_t odd_overflow_ = -1;
    bool lost_ = false;                     // a header is searched for
    std::array<uint8_t, kHeader> carry_{};  // of a header, or of an event
    size_t carried_ = 0;
};

}  // namespace edgesnn::events
