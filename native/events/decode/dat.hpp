// Prophesee DAT: eight bytes an event: 32 bits of microseconds, then 14 bits x, 14 bits y, 4 bits polarity.
// docs/formats.md, "DAT".
#pragma once

#include "events/decode/record_decoder.hpp"

namespace edgesnn::events {

class DatDecoder final : public RecordDecoder {
  public:
    using RecordDecoder::kAheadUs;
    static constexpr int32_t kField = 1 << 14;

    explicit DatDecoder(DecoderOptions options);

    // The time of a record whose 32 bits are raw_us where the clock has reached clock_us (kNoTime: nothing yet).
    static int64_t unwrapped_us(uint32_t raw_us, int64_t clock_us) noexcept;

  private:
    Status decode_records(const uint8_t* data, size_t count, std::vector<Event>& out) override;
    void save_records_of(StateWriter&) const override {}  // the epoch is that of t_end_us
    void load_records_of(const StateReader&) override {}

    size_t plain_records(const uint8_t* data, size_t count, std::vector<Event>& out);
    EventBlock::Cursor put_fours(const uint8_t* data, size_t count, EventBlock::Cursor at, const uint8_t* full,
                                 int64_t& end_us) const noexcept;
    Status record(const uint8_t* at, int64_t number, std::vector<Event>& out);
};

}  // namespace edgesnn::events
