// AEDAT 4.0: the packets of events and triggers, after decompression. docs/formats.md, "AEDAT4".
//
// A packet is a size-prefixed flatbuffer with one vector: of event records ("EVTS") or of trigger tables ("TRIG").
// Event packets may come in pieces of any size; memory does not grow with them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "events/decode/flatbuffer.hpp"
#include "events/decode/guarded_decoder.hpp"

namespace edgesnn::events {

class Aedat4Packets final : public GuardedDecoder {
  public:
    enum class Kind { events, triggers };
    static constexpr size_t kMostTriggerBytes = size_t{1} << 20;

    explicit Aedat4Packets(DecoderOptions options);

    // A packet at byte `offset` of the file begins; feed() takes its bytes, decompressed, in any split.
    void begin(Kind kind, int64_t offset);
    // Its bytes are over.
    Status end(std::vector<Event>& out);
    // The packet at byte `offset` cannot be read, or not to its end; what it gave stays.
    Status refuse(int64_t offset, const std::string& what);
    // The bytes end inside the packet at byte `offset`, after `have` of its bytes.
    Status cut(int64_t offset, int64_t have, const std::string& what);

  private:
    static constexpr size_t kRecord = 16;
    static constexpr size_t kBlock = 256;       // records that are judged at once
    static constexpr size_t kHeadBytes = 4096;  // the vector of events begins inside
    enum class Stage { idle, head, records, broken };

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override { return settle_held(out); }
    void save_format(StateWriter& writer) const override { save_guard(writer); }
    void load_format(const StateReader& reader) override;

    Status collect(Span<const uint8_t> bytes, size_t most);
    Status open(Span<const uint8_t> bytes, std::vector<Event>& out);
    Status records(Span<const uint8_t> bytes, std::vector<Event>& out);
    const uint8_t* run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out, Status& status);
    bool plain(const uint8_t* at, size_t count, std::vector<Event>& out);
    Status one_by_one(const uint8_t* at, size_t count, std::vector<Event>& out);
    Status read_triggers();
    Status broken(const char* what);

    Kind kind_ = Kind::events;
    Stage stage_ = Stage::idle;
    int64_t offset_ = 0;         // of the packet in the file
    size_t received_ = 0;        // bytes of it so far
    size_t size_ = 0;            // bytes that it says it has
    size_t count_ = 0;           // of its records
    size_t left_ = 0;            // of them to come
    std::vector<uint8_t> head_;  // its beginning; of triggers, all of it
    std::array<uint8_t, kRecord> carry_{};
    size_t carried_ = 0;
};

// What the IOHeader of a file or a connection says.
struct Aedat4Header {
    int32_t compression = 0;
    int64_t table_position = -1;  // of the file data table, -1: none
    std::string info;             // XML: the streams
};

// Reads the flatbuffer behind the length; throws Error{recording} where it is none.
Aedat4Header read_aedat4_header(Span<const uint8_t> bytes);

}  // namespace edgesnn::events
