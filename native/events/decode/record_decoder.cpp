#include "events/decode/record_decoder.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {

RecordDecoder::RecordDecoder(DecoderOptions options, Format format)
    : Decoder(format.name, std::move(options), format.width, format.height),
      format_(format),
      carry_(format.record_bytes) {}

Status RecordDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    return carry_.feed(bytes, [&](const uint8_t* data, size_t count) { return run(data, count, out); });
}

Status RecordDecoder::run(const uint8_t* data, size_t count, std::vector<Event>& out) {
    Status status = decode_records(data, count, out);
    records_ += static_cast<int64_t>(count);
    return status;
}

Status RecordDecoder::take(const Event& event, int64_t number, std::vector<Event>& out) {
    if (held_at_ >= 0) {
        const int64_t held_at = std::exchange(held_at_, -1);
        Status status = held_.t > event.t + kAheadUs
                            ? bad_record(held_at, "its time is far ahead of both its neighbours")
                            : place(held_, held_at, out);
        if (!status.ok()) return status;
    }
    if (t_end_us_ != kNoTime && event.t <= t_end_us_ + kAheadUs) return place(event, number, out);
    held_ = event;
    held_at_ = number;
    return {};
}

Status RecordDecoder::place(const Event& event, int64_t number, std::vector<Event>& out) {
    const bool wide = event.x >= width_;
    if (!wide && event.y < height_) {
        append(&event, 1, out);
        return {};
    }
    ++counters_.out_of_range;
    if (!strict()) return {};
    return outside(number * static_cast<int64_t>(format_.record_bytes), record_name(number), wide ? "x" : "y",
                   wide ? event.x : event.y);
}

EventBlock::Cursor RecordDecoder::flush(EventBlock& block, EventBlock::Cursor end, std::vector<Event>& out) {
    block.take(end);
    append(block.events(), block.count(), out);
    block.clear();
    return block.start();
}

std::string RecordDecoder::record_name(int64_t number) const {
    return std::string(format_.title) + " event " + std::to_string(number);
}

Status RecordDecoder::bad_record(int64_t number, const std::string& what) {
    ++counters_.bad_words;
    if (!strict()) return {};
    return damage(number * static_cast<int64_t>(format_.record_bytes), record_name(number) + ": " + what);
}

Status RecordDecoder::settle(std::vector<Event>& out) {
    if (held_at_ >= 0)
        if (Status status = place(held_, std::exchange(held_at_, -1), out); !status.ok()) return status;
    if (Status status = settle_records(); !status.ok()) return status;
    if (carry_.size() == 0) return {};
    if (strict())
        return damage(records_ * static_cast<int64_t>(format_.record_bytes),
                      std::string("the last ") + format_.title + " event is cut: " + std::to_string(carry_.size()) +
                          " of " + std::to_string(format_.record_bytes) + " bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carry_.size());
    carry_.clear();
    return {};
}

void RecordDecoder::save_format(StateWriter& writer) const {
    const int64_t values[] = {records_, held_at_};
    writer.put("records", values, {2});
    save_records(writer, "held", std::vector<Event>{held_});
    carry_.save(writer);
    save_records_of(writer);
}

void RecordDecoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("records");
    const std::vector<Event> held = load_events(reader, "held");
    Carry carry = carry_;
    carry.load(reader, format_.title);
    constexpr int64_t kMost = int64_t{1} << 56;  // no byte offset overflows
    const bool sane = v.size() == 2 && v[0] >= 0 && v[0] < kMost && v[1] >= -1 && v[1] < kMost;
    if (!sane || held.size() != 1 || held[0].t < 0 || held[0].t >= kMaxUs || held[0].p > 1)
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", format_.title);
    load_records_of(reader);
    records_ = v[0], held_at_ = v[1];
    held_ = held[0];
    carry_ = carry;
}

}  // namespace edgesnn::events
