// What formats of records with a time of their own share: records of fixed size in any split, and the event that waits.
//
// An event more than kAheadUs ahead of everything before it waits for the next one: it is damaged where it is as far
// ahead of that one too. docs/formats.md, "Times of records".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "events/decode/carry.hpp"
#include "events/decode/decoder.hpp"
#include "events/decode/event_block.hpp"

namespace edgesnn::events {

class RecordDecoder : public Decoder {
  protected:
    struct Format {
        const char* name;   // "dat"
        const char* title;  // in messages: "DAT"
        size_t record_bytes;
        int32_t width;  // one more than the largest coordinates that a record can say
        int32_t height;
    };
    static constexpr int64_t kAheadUs = 10'000;

    RecordDecoder(DecoderOptions options, Format format);

    // Decodes `count` whole records at `data`. Stops at the first error of strict.
    virtual Status decode_records(const uint8_t* data, size_t count, std::vector<Event>& out) = 0;
    virtual Status settle_records() { return {}; }  // after the last record, and the event that waited
    virtual void save_records_of(StateWriter& writer) const = 0;
    virtual void load_records_of(const StateReader& reader) = 0;

    // Largest time that a record may have to go out at once; below every time where it must wait or another does.
    int64_t plain_until_us() const noexcept {
        return held_at_ >= 0 || t_end_us_ == kNoTime ? kNoTime : t_end_us_ + kAheadUs;
    }
    // Takes the event of record `number`, the slow way: settles the one that waits, then lets this one out or wait.
    Status take(const Event& event, int64_t number, std::vector<Event>& out);
    // Hands on what lies before the cursor; returns the cursor of the empty block.
    EventBlock::Cursor flush(EventBlock& block, EventBlock::Cursor end, std::vector<Event>& out);
    Status bad_record(int64_t number, const std::string& what);
    int64_t records() const noexcept { return records_; }  // before the current run

  private:
    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) final;
    Status settle(std::vector<Event>& out) final;
    void save_format(StateWriter& writer) const final;
    void load_format(const StateReader& reader) final;

    Status run(const uint8_t* data, size_t count, std::vector<Event>& out);
    Status place(const Event& event, int64_t number, std::vector<Event>& out);
    std::string record_name(int64_t number) const;

    Format format_;
    int64_t records_ = 0;
    int64_t held_at_ = -1;  // record number of held_, -1: none waits
    Event held_{};
    Carry carry_;
};

}  // namespace edgesnn::events
