// AEDAT 4.0: the packets of events and triggers, after decompression. docs/formats.md, "AEDAT4".
//
// A packet is a size-prefixed flatbuffer with one vector: of event records ("EVTS") or of trigger tables ("TRIG").
// Event packets may come in pieces of any size; memory does not grow with them.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "events/decode/flatbuffer.hpp"
#include "events/decode/guarded_decoder.hpp"
#include "events/decode/lz4.hpp"

namespace edgesnn::events {

class Aedat4Packets final : public GuardedDecoder {
  public:
    enum class Kind { events, triggers };
    enum class Packing { none, lz4, zstd };
    static constexpr size_t kMostTriggerBytes = size_t{1} << 20;
    static constexpr size_t kMostPending = size_t{1} << 20;
    static constexpr size_t kMostUnpacked = size_t{1} << 22;  // at once
    static constexpr size_t kMostWaiting = size_t{1} << 18;   // events that run() adds before it stops between packets

    explicit Aedat4Packets(DecoderOptions options);

    using Feed = std::function<void(Span<const uint8_t>)>;
    // What the IOHeader says, for run().
    struct Streams {
        std::vector<int32_t> numbers;  // of all streams
        int32_t events = -1;           // the one that is read, -1: none
        int32_t triggers = -1;
        Packing packing = Packing::none;
        // Of zstd: calls feed(content) with the content of a frame that is all of `bytes`, where it is whole and holds
        // at most `most` bytes; else returns false.
        std::function<bool(Span<const uint8_t> bytes, size_t most, const Feed& feed)> unpack_zstd = {};
    };
    // Takes packets that are undamaged as packets, and unpacked here, from bytes that begin at byte `offset` of the
    // file with a packet's header, or go on with what waits; none goes beyond byte `end` (-1: not known). The last one
    // may wait for the rest of it. Returns how many bytes were taken: what waits and the next packet are left to
    // take_pending(), begin(), feed() and end() where it is not all of them.
    size_t run(const Streams& streams, Span<const uint8_t> bytes, int64_t offset, int64_t end, std::vector<Event>& out,
               Status& status);
    // Where a packet that run() decodes as it comes began, and how much of it is here; 0: there is none.
    int64_t unfinished_at() const noexcept { return offset_; }
    size_t unfinished() const noexcept { return plain_left_ == 0 ? 0 : kHeader + plain_size_ - plain_left_; }
    // How many bytes the packet lacks that waits or is decoded as it comes; 0: there is none, -1: it does not say yet.
    int64_t lacks(const Streams& streams) const noexcept;
    bool odd() const noexcept { return odd_; }  // what waits is whole and to be taken
    std::vector<uint8_t> take_pending() { return std::exchange(pending_, {}); }
    // Unpacks the whole content of the packet that begin() began, and ends it; false: nothing has changed.
    bool unpack(const Streams& streams, Span<const uint8_t> content, std::vector<Event>& out, Status& status);

    // A packet at byte `offset` of the file begins; feed() takes its bytes, decompressed, in any split.
    void begin(Kind kind, int64_t offset);
    // Its bytes are over.
    Status end(std::vector<Event>& out);
    // The packet at byte `offset` cannot be read, or not to its end; what it gave stays.
    Status refuse(int64_t offset, const std::string& what);
    // The bytes end inside the packet at byte `offset`, after `have` of its bytes.
    Status cut(int64_t offset, int64_t have, const std::string& what);

  private:
    static constexpr size_t kHeader = 8;
    static constexpr size_t kRecord = 16;
    static constexpr size_t kBlock = 256;       // records that are judged at once
    static constexpr size_t kHeadBytes = 4096;  // the vector of events begins inside
    enum class Stage { idle, head, records, broken };

    struct Front {
        size_t size = 0;
        bool whole = false;
        bool part = false;
    };

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override { return settle_held(out); }
    void save_format(StateWriter& writer) const override { save_guard(writer); }
    void load_format(const StateReader& reader) override;

    size_t complete(const Streams& streams, Span<const uint8_t> bytes, int64_t end);
    static Front look(const Streams& streams, Span<const uint8_t> bytes, int64_t start, int64_t end);
    bool packet(const Streams& streams, Span<const uint8_t> bytes, int64_t start, std::vector<Event>& out,
                Status& status);
    void begin_plain(const Streams& streams, Span<const uint8_t> bytes, int64_t start);
    size_t plain(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status);
    Status collect(Span<const uint8_t> bytes, size_t most);
    Status open(Span<const uint8_t> bytes, std::vector<Event>& out);
    Status records(Span<const uint8_t> bytes, std::vector<Event>& out);
    const uint8_t* blocks(const uint8_t* at, const uint8_t* end, std::vector<Event>& out, Status& status);
    bool ordinary(const uint8_t* at, size_t count, std::vector<Event>& out);
    Status one_by_one(const uint8_t* at, size_t count, std::vector<Event>& out);
    Status read_triggers();
    Status broken(const char* what);

    Kind kind_ = Kind::events;
    Stage stage_ = Stage::idle;
    int64_t offset_ = 0;            // of the packet in the file
    size_t received_ = 0;           // bytes of it so far
    size_t size_ = 0;               // bytes that it says it has
    size_t count_ = 0;              // of its records
    size_t left_ = 0;               // of them to come
    std::vector<uint8_t> pending_;  // the beginning of a packet, for run()
    int64_t pending_at_ = 0;
    bool odd_ = false;
    size_t plain_size_ = 0;  // of a packet that run() decodes as it comes
    size_t plain_left_ = 0;
    bool plain_read_ = false;
    Lz4Frame lz4_;
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
