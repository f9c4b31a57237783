// N-MNIST .bin: five bytes an event: x, y, then polarity (bit 7) and 23 bits of big-endian microseconds.
// docs/formats.md, "N-MNIST .bin".
#pragma once

#include <array>

#include "events/decode/decoder.hpp"
#include "events/decode/event_block.hpp"

namespace edgesnn::events {

class NmnistDecoder final : public Decoder {
  public:
    explicit NmnistDecoder(DecoderOptions options);

  private:
    static constexpr size_t kRecord = 5;

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    bool plain(const uint8_t* at, EventBlock::Cursor& cursor) noexcept;
    Status record(const uint8_t* at, std::vector<Event>& out);
    Status count_markers(bool overflowed, int64_t first);
    Status judge_held(int64_t next_t_us, std::vector<Event>& out);
    Status place(const Event& event, int64_t number, std::vector<Event>& out);
    Status bad_record(int64_t number, const char* what);

    int64_t records_ = 0;      // seen so far
    int64_t overflow_us_ = 0;  // what the overflow markers add to the times
    int64_t last_raw_us_ = -1;
    int64_t markers_ = 0;   // that wait for the next event to say whether the clock overflowed
    int64_t held_at_ = -1;  // record number of held_, -1: none
    Event held_{};          // an event well ahead of the clock, until the next one confirms it
    std::array<uint8_t, kRecord> carry_{};
    size_t carried_ = 0;
};

}  // namespace edgesnn::events
