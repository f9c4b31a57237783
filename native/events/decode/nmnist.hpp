// N-MNIST .bin: five bytes an event: x, y, then polarity (bit 7) and 23 bits of big-endian microseconds.
// docs/formats.md, "N-MNIST .bin".
#pragma once

#include "events/decode/record_decoder.hpp"

namespace edgesnn::events {

class NmnistDecoder final : public RecordDecoder {
  public:
    explicit NmnistDecoder(DecoderOptions options);

  private:
    Status decode_records(const uint8_t* data, size_t count, std::vector<Event>& out) override;
    Status settle_records() override;
    void save_records_of(StateWriter& writer) const override;
    void load_records_of(const StateReader& reader) override;

    bool plain(const uint8_t* at, EventBlock::Cursor& cursor) noexcept;
    Status record(const uint8_t* at, int64_t number, std::vector<Event>& out);
    Status count_markers(bool overflowed, int64_t first);

    int64_t overflow_us_ = 0;  // what the overflow markers add to the times
    int64_t last_raw_us_ = -1;
    int64_t markers_ = 0;  // that wait for the next event to say whether the clock overflowed
};

}  // namespace edgesnn::events
