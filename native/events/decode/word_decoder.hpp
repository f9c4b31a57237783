// What EVT2, EVT2.1 and EVT3 share: words of fixed size in any split, the high part of the clock, events that wait for
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "events/decode/carry.hpp"
#include "events/decode/decoder.hpp"
#include "events/decode/event_block.hpp"
#include "events/decode/time_high.hpp"

namespace edgesnn::events {

class WordDecoder : public Decoder {
  public:
    void lost() noexcept override { carry_.clear(); }

  protected:
    struct Format {
        const char* name;   // "evt3"
        const char* title;  // in messages: "EVT3"
        size_t word_bytes;
        int high_bits;   // of TIME_HIGH
        int high_shift;  // how far it stands above microseconds
    };
    static constexpr int32_t kField = 2048;  // x and y have 11 bits in all of them

    WordDecoder(DecoderOptions options, Format format);

    // Decodes `count` whole words at `data` (any alignment). Stops at the first error of strict.
    virtual Status decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) = 0;
    virtual void save_words(StateWriter& writer) const = 0;
    virtual void load_words(const StateReader& reader) = 0;

    bool same_time_high(uint32_t word) noexcept { return high_.take_same(word); }  // nothing else to do then
    // A TIME_HIGH word, number `index` of this run; the block must be flushed before.
    Status on_time_high(uint32_t word, size_t index, std::vector<Event>& out);
    // The clock's time of low part 0; only where timed().
    int64_t base_us() const noexcept { return high_.value() * (int64_t{1} << format_.high_shift); }
    bool timed() const noexcept { return high_.started(); }
    // Words reached t_us, be it of a candidate; returns the cursor. On a step back, or while events are held, the block
    // goes out first, so that the order of events and times is the same in every split of the bytes (Decoder::marks).
    EventBlock::Cursor pass(int64_t t_us, EventBlock& block, EventBlock::Cursor at, std::vector<Event>& out) {
        if (t_us < reached_us_ || high_.waiting()) at = flush(block, at, out);
        reached_us_ = t_us > reached_us_ ? t_us : reached_us_;
        return at;
    }
    // What pass() does to times that do not step back, for a loop where nothing waits.
    bool waiting() const noexcept { return high_.waiting(); }
    int64_t reached_us() const noexcept { return reached_us_; }
    void set_reached(int64_t t_us) noexcept { reached_us_ = t_us; }
    // Hands on what lies before the cursor; returns the cursor of the empty block.
    EventBlock::Cursor flush(EventBlock& block, EventBlock::Cursor end, std::vector<Event>& out);
    void trigger(int64_t t_us, uint32_t id, uint32_t edge, std::vector<Event>& out);
    // Takes EXT_TRIGGER as EVT2, and the upper half of EVT2.1, has it.
    EventBlock::Cursor evt2_trigger(uint32_t word, EventBlock& block, EventBlock::Cursor at, std::vector<Event>& out);

    Status bad_word(size_t index, uint32_t type, uint64_t word);
    Status out_of_range(size_t index, const char* axis, uint32_t value, int64_t events = 1);
    void unplaced(int64_t events) noexcept { counters_.unplaced_events += events; }

  private:
    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) final;
    Status settle(std::vector<Event>& out) final;
    void save_format(StateWriter& writer) const final;
    void load_format(const StateReader& reader) final;

    Status run(const uint8_t* data, size_t count, std::vector<Event>& out);
    // What was decoded under one TIME_HIGH that waits, with its time.
    struct Segment {
        int64_t at = 0;  // number of the TIME_HIGH word
        int64_t value = 0;
        int64_t reached_us = kNoTime;
        std::vector<Event> events;
        std::vector<Trigger> triggers;
    };

    static constexpr int64_t kSegmentFields = 5;

    void open_segment(int64_t at);
    void hold(const Event* events, size_t count, std::vector<Event>& out);
    void believe_when_full(std::vector<Event>& out);
    Status settle_segments(const TimeHigh::Verdicts& verdicts, size_t settled, std::vector<Event>& out);
    void save_segments(StateWriter& writer) const;
    std::vector<Segment> load_segments(const StateReader& reader, size_t expected) const;
    void release(Segment& segment, int64_t shift_us, std::vector<Event>& out);
    int64_t position(size_t index) const noexcept;
    std::string word_name(size_t index) const;

    Format format_;
    TimeHigh high_;
    int64_t words_ = 0;  // before the current run
    int64_t reached_us_ = kNoTime;
    std::vector<Segment> segments_;  // one a TIME_HIGH that waits
    size_t held_ = 0;                // events and triggers in them
    Carry carry_;
};

}  // namespace edgesnn::events
