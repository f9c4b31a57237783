// The chunks of Prophesee's ECF in HDF5, framed by `formats/hdf5_ecf.py`. docs/formats.md, "ECF".
//
// A frame is a header of 32 bytes, little-endian: "ECFC"; uint8 kind; three spare bytes; uint32 rows that it stands
// for; uint32 bytes behind the header (at most kMostBytes); int64 number of its first row; int64 where it lies in the
// file.
#pragma once

#include <string>
#include <vector>

#include "events/decode/guarded_decoder.hpp"

namespace edgesnn::events {

class EcfDecoder final : public GuardedDecoder {
  public:
    explicit EcfDecoder(DecoderOptions options);

  private:
    static constexpr size_t kHeader = 32;
    static constexpr size_t kMostBytes = size_t{1} << 20;
    static constexpr size_t kMostRows = size_t{1} << 16;

    // packed: a chunk. lost: one that could not be read; the bytes are a text that says why. triggers: records of int64
    // time, uint8 id, uint8 edge.
    enum Kind : uint8_t { kPacked, kLost, kTriggers, kKinds };

    struct Frame {
        Kind kind = kPacked;
        size_t rows = 0;
        Span<const uint8_t> bytes;
        int64_t row = 0;
        int64_t place = 0;
    };

    // x, y and p of a chunk's events; with room for what the packed forms write behind the last.
    struct Columns {
        std::vector<uint16_t> x, y;
        std::vector<uint8_t> p;
    };

    // What a walk over the times of a chunk finds.
    struct Times {
        const uint8_t* end = nullptr;  // behind them; null: they are damaged
        uint64_t first_us = 0;
        int64_t last_us = 0;
        bool smooth = false;  // none is before the one before it or more than kAheadUs after it
    };

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    static size_t frame_bytes(const uint8_t* header) noexcept;
    static Frame parse(const uint8_t* at) noexcept;
    Status take(const Frame& frame, std::vector<Event>& out);
    Status triggers(const Frame& frame);
    Status chunk(const Frame& frame, std::vector<Event>& out);
    Times look(const Frame& frame, size_t count) const;
    const uint8_t* unpack(const Frame& frame, size_t count, uint32_t layout, const uint8_t* at);
    Status put(const Frame& frame, const Times& times, size_t count, size_t taken, std::vector<Event>& out);
    Status lose(const Frame& frame, size_t rows, const std::string& why);

    Columns columns_;
    std::vector<uint8_t> pending_;  // a frame, as far as it is here
    bool lost_ = false;             // no frame began where one should
};

}  // namespace edgesnn::events
