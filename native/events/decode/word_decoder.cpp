#include "events/decode/word_decoder.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr uint32_t kNearUs = 1'000'000;  // words that much ahead still belong to the same clock

// A time that a decoder can have made: arithmetic on it cannot overflow.
bool sane(int64_t t_us) noexcept {
    return t_us >= 0 && t_us < int64_t{1} << 60;
}

}  // namespace

WordDecoder::WordDecoder(DecoderOptions options, Format format)
    : Decoder(format.name, std::move(options), kField, kField),
      format_(format),
      high_(format.high_bits, kNearUs >> format.high_shift),
      carry_(format.word_bytes) {}

Status WordDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    return carry_.feed(bytes, [&](const uint8_t* data, size_t count) { return run(data, count, out); });
}

Status WordDecoder::run(const uint8_t* data, size_t count, std::vector<Event>& out) {
    Status status = decode_words(data, count, out);
    words_ += static_cast<int64_t>(count);
    if (!high_.waiting() && reached_us_ != kNoTime) reach(reached_us_);
    return status;
}

Status WordDecoder::settle(std::vector<Event>& out) {
    if (high_.waiting()) {
        TimeHigh::Verdicts verdicts;
        const size_t settled = high_.finish(verdicts);
        if (Status status = settle_segments(verdicts, settled, out); !status.ok()) return status;
    }
    if (carry_.size() == 0) return {};
    if (strict())
        return damage(words_ * static_cast<int64_t>(format_.word_bytes),
                      std::string("the last ") + format_.title + " word is cut: " + std::to_string(carry_.size()) +
                          " of " + std::to_string(format_.word_bytes) + " bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carry_.size());
    carry_.clear();
    return {};
}

Status WordDecoder::on_time_high(uint32_t word, size_t index, std::vector<Event>& out) {
    TimeHigh::Verdicts verdicts;
    const bool waited = high_.waiting();
    size_t settled = high_.take(word, verdicts);
    if (waited && settled == segments_.size() + 1) {  // this word completed the run of believed ones
        open_segment(words_ + static_cast<int64_t>(index));
        segments_.back().value = verdicts[settled - 1].value;
    }
    if (Status status = settle_segments(verdicts, settled, out); !status.ok()) return status;
    if (high_.waiting()) {
        open_segment(words_ + static_cast<int64_t>(index));
        segments_.back().value = high_.value();
    }
    reached_us_ = std::max(reached_us_, base_us());
    return {};
}

// Times from here on belong to a TIME_HIGH that waits.
void WordDecoder::open_segment(int64_t at) {
    if (!segments_.empty())
        segments_.back().reached_us = reached_us_;
    else if (reached_us_ != kNoTime)
        reach(reached_us_);
    reached_us_ = kNoTime;
    segments_.push_back(Segment{at, 0, kNoTime, {}, {}});
}

Status WordDecoder::settle_segments(const TimeHigh::Verdicts& verdicts, size_t settled, std::vector<Event>& out) {
    if (settled == 0) return {};
    segments_.back().reached_us = reached_us_;
    reached_us_ = kNoTime;
    Status status;
    for (size_t i = 0; i < settled && status.ok(); ++i) {
        Segment& segment = segments_[i];
        const TimeVerdict& verdict = verdicts[i];
        counters_.time_resyncs += verdict.jump ? 1 : 0;
        if (!verdict.believed) {
            ++counters_.bad_words;
            if (strict())
                status = damage(segment.at * static_cast<int64_t>(format_.word_bytes),
                                std::string(format_.title) + " word " + std::to_string(segment.at) +
                                    ": TIME_HIGH fits neither the one before it nor those after it");
        }
        if (!status.ok()) break;
        if (verdict.placed)
            release(segment, (segment.value - verdict.value) * (int64_t{1} << format_.high_shift), out);
        else
            counters_.unplaced_events += static_cast<int64_t>(segment.events.size());
    }
    segments_.clear();
    held_ = 0;
    return status;
}

void WordDecoder::release(Segment& segment, int64_t shift_us, std::vector<Event>& out) {
    for (Event& event : segment.events) event.t -= shift_us;
    append_marked(segment.events.data(), segment.events.size(), out);
    for (Trigger edge : segment.triggers) {
        edge.t -= shift_us;
        triggers_.push_back(edge);
    }
    if (segment.reached_us != kNoTime) reach(segment.reached_us - shift_us);
}

EventBlock::Cursor WordDecoder::flush(EventBlock& block, EventBlock::Cursor end, std::vector<Event>& out) {
    block.take(end);
    if (!high_.waiting()) {
        append_marked(block.events(), block.count(), out);
        if (reached_us_ != kNoTime) reach(reached_us_);
    } else {
        hold(block.events(), block.count(), out);
    }
    block.clear();
    return block.start();
}

void WordDecoder::trigger(int64_t t_us, uint32_t id, uint32_t edge, std::vector<Event>& out) {
    const Trigger record{t_us, static_cast<uint8_t>(id), static_cast<uint8_t>(edge)};
    if (!high_.waiting()) {
        triggers_.push_back(record);
        return;
    }
    segments_.back().triggers.push_back(record);
    ++held_;
    believe_when_full(out);
}

EventBlock::Cursor WordDecoder::evt2_trigger(uint32_t word, EventBlock& block, EventBlock::Cursor at,
                                             std::vector<Event>& out) {
    if (!timed()) return at;
    const int64_t t_us = base_us() | (word >> 22 & 0x3F);
    trigger(t_us, word >> 8 & 0x1F, word & 1, out);
    return flush(block, pass(t_us, block, at, out), out);  // events after it may be earlier
}

void WordDecoder::hold(const Event* events, size_t count, std::vector<Event>& out) {
    if (count == 0) return;  // after an error nothing may wait where the clock does
    const size_t room = std::min(count, kHeldEvents - held_);
    std::vector<Event>& waiting = segments_.back().events;
    waiting.insert(waiting.end(), events, events + room);
    held_ += room;
    believe_when_full(out);
    if (room < count) append_marked(events + room, count - room, out);
}

// So many that are held under a few words that they are no slip are believed.
void WordDecoder::believe_when_full(std::vector<Event>& out) {
    if (held_ < kHeldEvents) return;
    TimeHigh::Verdicts verdicts;
    const size_t settled = high_.believe_all(verdicts);
    settle_segments(verdicts, settled, out);
}

int64_t WordDecoder::position(size_t index) const noexcept {
    return (words_ + static_cast<int64_t>(index)) * static_cast<int64_t>(format_.word_bytes);
}

std::string WordDecoder::word_name(size_t index) const {
    return std::string(format_.title) + " word " + std::to_string(words_ + static_cast<int64_t>(index));
}

Status WordDecoder::bad_word(size_t index, uint32_t type, uint64_t word) {
    ++counters_.bad_words;
    if (!strict()) return {};
    char text[64];
    std::snprintf(text, sizeof text, ": unknown word type 0x%X (0x%0*llX)", type,
                  static_cast<int>(format_.word_bytes) * 2, static_cast<unsigned long long>(word));
    return damage(position(index), word_name(index) + text);
}

Status WordDecoder::out_of_range(size_t index, const char* axis, uint32_t value, int64_t events) {
    counters_.out_of_range += events;
    if (!strict()) return {};
    return outside(position(index), word_name(index), axis, value);
}

void WordDecoder::save_format(StateWriter& writer) const {
    high_.save(writer);
    writer.put("words", words_);
    writer.put("reached_us", reached_us_);
    save_segments(writer);
    carry_.save(writer);
    save_words(writer);
}

void WordDecoder::save_segments(StateWriter& writer) const {
    std::vector<int64_t> table;
    std::vector<Event> events;
    std::vector<Trigger> triggers;
    for (const Segment& segment : segments_) {
        table.insert(table.end(),
                     {segment.at, segment.value, segment.reached_us, static_cast<int64_t>(segment.events.size()),
                      static_cast<int64_t>(segment.triggers.size())});
        events.insert(events.end(), segment.events.begin(), segment.events.end());
        triggers.insert(triggers.end(), segment.triggers.begin(), segment.triggers.end());
    }
    writer.put("segments", table.data(), {static_cast<int64_t>(segments_.size()), kSegmentFields});
    save_records(writer, "held", events);
    save_records(writer, "held_triggers", triggers);
}

std::vector<WordDecoder::Segment> WordDecoder::load_segments(const StateReader& reader, size_t expected) const {
    const std::vector<int64_t> table = reader.get_array<int64_t>("segments");
    const std::vector<Event> events = load_events(reader, "held");
    const std::vector<Trigger> triggers = load_triggers(reader, "held_triggers");
    const bool timely = std::all_of(triggers.begin(), triggers.end(), [](const Trigger& e) { return sane(e.t); });
    const bool inside = std::all_of(events.begin(), events.end(), [&](const Event& e) {
        return e.x < width_ && e.y < height_ && e.p < 2 && sane(e.t);
    });
    const bool shaped = table.size() == expected * kSegmentFields && events.size() + triggers.size() < kHeldEvents;
    std::vector<Segment> segments;
    size_t event = 0;
    size_t trigger = 0;
    for (size_t i = 0; shaped && timely && inside && i < expected; ++i) {
        const int64_t* row = table.data() + i * kSegmentFields;
        const auto event_count = static_cast<size_t>(row[3]);
        const auto trigger_count = static_cast<size_t>(row[4]);
        const bool times = sane(row[0]) && sane(row[1]) && (row[2] == kNoTime || sane(row[2]));
        if (!times || event_count > events.size() - event || trigger_count > triggers.size() - trigger) break;
        const auto first = events.begin() + static_cast<std::ptrdiff_t>(event);
        const auto first_trigger = triggers.begin() + static_cast<std::ptrdiff_t>(trigger);
        segments.push_back({row[0], row[1], row[2], {first, first + row[3]}, {first_trigger, first_trigger + row[4]}});
        event += event_count;
        trigger += trigger_count;
    }
    if (segments.size() != expected || event != events.size() || trigger != triggers.size())
        throw Error(ErrorKind::model, "snapshot of a decoder does not fit its format or sensor", format_.title);
    return segments;
}

void WordDecoder::load_format(const StateReader& reader) {
    TimeHigh high = high_;
    high.load(reader);
    const auto words = reader.get<int64_t>("words");
    const auto reached_us = reader.get<int64_t>("reached_us");
    std::vector<Segment> segments = load_segments(reader, high.count());
    Carry carry = carry_;
    carry.load(reader, format_.title);
    if (!sane(words) || !(reached_us == kNoTime || sane(reached_us)))
        throw Error(ErrorKind::model, "snapshot of a decoder does not fit its format or sensor", format_.title);
    load_words(reader);
    high_ = high;
    words_ = words;
    reached_us_ = reached_us;
    segments_ = std::move(segments);
    held_ = 0;
    for (const Segment& segment : segments_) held_ += segment.events.size() + segment.triggers.size();
    carry_ = carry;
}

}  // namespace edgesnn::events
