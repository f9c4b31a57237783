// Incremental decoders: bytes in any split -> events, triggers and the sensor time reached.
//
// The rules of each format, the clock policy and what every counter means are normative in docs/formats.md.
//   - The same bytes give the same events, triggers, counters and error for every way of splitting them.
//   - strict: the first damage ends the stream with a Status that names its byte offset; the events before it are out.
//   - skip: damage is counted and left out; feed and finish then always return an ok Status.
//   - No event is ever outside the sensor (outside the format's fields, where no sensor is known).
//   - Memory: the output's growth, and at most kHeldEvents events whose time is not confirmed yet.
// One thread at a time; no thread of its own, no files, no logging.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/span.hpp"
#include "base/state_io.hpp"

namespace edgesnn::events {

constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();  // t_end_us() before the first time
constexpr int64_t kMaxUs = int64_t{1} << 60;  // beyond every time of an event: sums stay inside int64
constexpr size_t kHeldEvents = size_t{1} << 18;

enum class OnCorrupt { strict, skip };

struct DecoderOptions {
    int32_t width = 0;   // 0: unknown, x is bounded by the format's field
    int32_t height = 0;  // 0: unknown
    OnCorrupt on_corrupt = OnCorrupt::strict;
    int64_t offset = 0;   // where the first fed byte lies in the file (the header's size), for messages
    std::string where;    // the file's name, for messages
    std::string variant;  // what of the format the header says that its bytes do not, empty: nothing
};

// Before event `index` of the output, words without events had already reached t_us, and the event is earlier than
// that. Who follows the time word by word (the window cutter) needs this to see the same in every split of the bytes.
struct TimeMark {
    size_t index;
    int64_t t_us;
};

struct Counters {
    int64_t bad_words = 0;     // words (records) that the format does not allow here
    int64_t out_of_range = 0;  // events outside the sensor
    int64_t unplaced_events =
        0;                      // events whose time or row is unknown: before the first such word, after a damaged one
    int64_t time_resyncs = 0;   // jumps of the clock that a second time word confirmed
    int64_t time_backward = 0;  // events earlier than the event before them (kept as they are)
    int64_t truncated_bytes = 0;  // bytes of a last, unfinished word
    int64_t lost_packets = 0;     // gaps in packet numbers (formats that carry them)
};

class Decoder {
  public:
    virtual ~Decoder() = default;
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    // Appends the events that `bytes` complete to `out`. A failed decoder stays failed and repeats its error.
    Status feed(Span<const uint8_t> bytes, std::vector<Event>& out) noexcept;
    // No byte follows: settles what waited for one. Call once.
    Status finish(std::vector<Event>& out) noexcept;

    // Bytes are missing before the next: forgets half a word, and the rows and columns that later words lean on.
    virtual void lost() noexcept {}

    // The largest sensor time reached, by events or by words that only carry time; kNoTime before the first.
    int64_t t_end_us() const noexcept { return t_end_us_; }
    const Counters& counters() const noexcept { return counters_; }
    // Appends the external triggers decoded since the last call to `out`, and forgets them.
    void take_triggers(std::vector<Trigger>& out);
    // The marks of the last feed or finish; index counts from the start of its `out`.
    const std::vector<TimeMark>& marks() const noexcept { return marks_; }

    // Writes into / reads from the writer's (reader's) current section. load throws Error{model} and changes nothing
    // then. Options are not saved: load into a decoder made with the same ones.
    void save(StateWriter& writer) const;
    void load(const StateReader& reader);

  protected:
    // field_width, field_height: one more than the largest coordinate that the format can say.
    Decoder(const char* name, DecoderOptions options, int32_t field_width, int32_t field_height);

    // What a format adds. They may throw (memory); feed, finish and load catch or pass it on as they promise.
    virtual Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) = 0;
    virtual Status settle(std::vector<Event>& out) = 0;
    virtual void save_format(StateWriter& writer) const = 0;
    virtual void load_format(const StateReader& reader) = 0;

    // Appends events whose time is certain; counts steps back and advances t_end_us.
    void append(const Event* events, size_t count, std::vector<Event>& out);
    // The same, with a mark where words had reached a later time (reach) than the first of them.
    void append_marked(const Event* events, size_t count, std::vector<Event>& out);
    // The same for times that never fall, from that of the last event out.
    void append_rising(const Event* events, size_t count, std::vector<Event>& out);
    void reach(int64_t t_us) noexcept { t_end_us_ = t_us > t_end_us_ ? t_us : t_end_us_; }

    // Throws Error{usage} where options.variant is none of these; "" is to be one of them where it is possible.
    void check_variant(std::initializer_list<const char*> possible) const;

    bool strict() const noexcept { return options_.on_corrupt == OnCorrupt::strict; }
    // An error at byte `position` of the stream (the header not counted).
    Status damage(int64_t position, std::string what, std::string hint = "to go on pass --on-corrupt=skip") const;
    Status outside(int64_t position, const std::string& word, const char* axis, int64_t value) const;

    const char* name_;  // as make_decoder knows it
    DecoderOptions options_;
    int32_t width_;  // exclusive bounds: the sensor's, else the format's fields'
    int32_t height_;
    Counters counters_;
    int64_t t_end_us_ = kNoTime;
    int64_t last_t_us_ = kNoTime;  // of the last event out
    std::vector<Trigger> triggers_;

  private:
    Status failed_;
    std::vector<TimeMark> marks_;
};

// For snapshots: packed records as bytes [n, sizeof(T)], and back (throws Error{model} on another shape).
void save_records(StateWriter& writer, const char* name, const std::vector<Event>& records);
void save_records(StateWriter& writer, const char* name, const std::vector<Trigger>& records);
std::vector<Event> load_events(const StateReader& reader, const char* name);
std::vector<Trigger> load_triggers(const StateReader& reader, const char* name);

// A name of the table in decoder.cpp. Throws Error{usage} on another name, an impossible sensor or an unknown variant.
std::unique_ptr<Decoder> make_decoder(const std::string& name, const DecoderOptions& options);

}  // namespace edgesnn::events
