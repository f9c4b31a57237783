#include "events/decode/csv.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "events/decode/csv_fast.hpp"
#include "events/decode/event_block.hpp"

namespace edgesnn::events {
namespace {

constexpr int64_t kAheadUs = 1'000'000;  // an event that much ahead of both its neighbours is damaged
constexpr int32_t kField = 65536;
constexpr size_t kQuoted = 48;  // bytes of a line that a message quotes

const char* find_end(const char* begin, const char* end) noexcept {
    return static_cast<const char*>(std::memchr(begin, '\n', static_cast<size_t>(end - begin)));
}

std::string quote(const char* begin, const char* end) {
    if (begin != end && end[-1] == '\r') --end;
    std::string text = "'";
    for (const char* at = begin; at != end && text.size() <= kQuoted; ++at)
        text += *at >= 0x20 && *at < 0x7F ? *at : *at == '\t' ? ' ' : '?';
    return text + "'";
}

}  // namespace

CsvDecoder::CsvDecoder(DecoderOptions options)
    : Decoder("csv", std::move(options), kField, kField),
      columns_(CsvColumns::parse(options_.variant)),
      time_first_(columns_.is(Column::t, Column::x, Column::y, Column::p)),
      time_last_(columns_.is(Column::x, Column::y, Column::p, Column::t)) {}

Status CsvDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    const char* const begin = reinterpret_cast<const char*>(bytes.data);
    const char* const end = begin + bytes.size;
    const char* at = begin;
    if (long_ || !carry_.empty()) {
        if (Status status = end_carried(at, end, out); !status.ok() || at == end) return status;
    }
    const int64_t origin = position_ - (at - begin);  // of `begin` in the stream
    while (at != end) {
        at = plain_lines(begin, at, end, out);
        const char* stop = find_end(at, end);
        if (stop == nullptr) break;
        if (Status status = line(at, stop, origin + (at - begin), out); !status.ok()) return status;
        at = stop + 1;
    }
    position_ = origin + (at - begin);
    return carry(at, end);
}

// Goes on with the line that an earlier piece began; `at` is then behind it, or at the end.
Status CsvDecoder::end_carried(const char*& at, const char* end, std::vector<Event>& out) {
    const char* stop = find_end(at, end);
    if (!long_) {
        const char* from = std::exchange(at, stop == nullptr ? end : stop + 1);
        if (stop == nullptr) return carry(from, end);
        const int64_t next = position_ + static_cast<int64_t>(carry_.size()) + (at - from);
        carry_.append(from, std::min(static_cast<size_t>(stop - from), kMostBytes + 1));
        const std::string whole = std::exchange(carry_, {});
        const int64_t position = std::exchange(position_, next);
        return line(whole.data(), whole.data() + whole.size(), position, out);
    }
    const char* next = stop == nullptr ? end : stop + 1;
    position_ += next - at;
    at = next;
    long_ = stop == nullptr;
    return {};
}

// Keeps the beginning of a line, or refuses it where it is too long for one.
Status CsvDecoder::carry(const char* at, const char* end) {
    carry_.append(at, end);
    if (carry_.size() <= kMostBytes) return {};
    const int64_t position = position_;
    position_ += static_cast<int64_t>(carry_.size());
    carry_.clear();
    long_ = true;
    return bad_line(lines_++, position, "it is longer than 4096 bytes");
}

// Reads lines of the common form; returns where the first other one begins.
const char* CsvDecoder::plain_lines(const char* begin, const char* at, const char* end, std::vector<Event>& out) {
    const bool shaped = (time_first_ || time_last_) && (columns_.scale == 0 || columns_.scale == 6);
    if (!shaped || held_number_ >= 0 || t_end_us_ == kNoTime || at - begin < static_cast<int64_t>(csv::kBefore) ||
        end - at < static_cast<int64_t>(csv::kWindow))
        return at;
    const auto* from = reinterpret_cast<const uint8_t*>(at);
    const auto* stop = reinterpret_cast<const uint8_t*>(end) - csv::kWindow;
    const bool seconds = columns_.scale == 6;
    if (time_last_)
        from = seconds ? run_signed<true, true>(from, stop, out) : run_signed<true, false>(from, stop, out);
    else
        from = seconds ? run_signed<false, true>(from, stop, out) : run_signed<false, false>(from, stop, out);
    return reinterpret_cast<const char*>(from);
}

template <bool kTimeLast, bool kSeconds>
const uint8_t* CsvDecoder::run_signed(const uint8_t* at, const uint8_t* stop, std::vector<Event>& out) {
    return minus_ ? run<kTimeLast, kSeconds, true>(at, stop, out) : run<kTimeLast, kSeconds, false>(at, stop, out);
}

template <bool kTimeLast, bool kSeconds, bool kMinus>
const uint8_t* CsvDecoder::run(const uint8_t* at, const uint8_t* stop, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor cursor = block.start();
    const auto flush = [&] {
        block.take(cursor);
        append(block.events(), block.count(), out);
        lines_ += static_cast<int64_t>(block.count());
        cursor = block.start();
    };
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const uint8_t separator = separator_;
    int64_t limit_us = t_end_us_ + kAheadUs;
    const uint8_t* const begin = at;
    while (at <= stop) {
        csv::Line line;
        const size_t length = csv::read_line<kTimeLast, kSeconds, kMinus>(at, separator, line);
        if (length == 0 || line.x >= width || line.y >= height || line.t > limit_us) break;
        cursor = EventBlock::put(cursor, line.t, line.x, line.y, line.p);
        limit_us = std::max(limit_us, line.t + kAheadUs);
        at += length;
        if (cursor >= block.full()) flush();
    }
    flush();
    if (at != begin) last_raw_us_ = last_t_us_;
    return at;
}

Status CsvDecoder::line(const char* begin, const char* end, int64_t position, std::vector<Event>& out) {
    if (end - begin > static_cast<int64_t>(kMostBytes))
        return bad_line(lines_++, position, "it is longer than 4096 bytes");
    if (is_csv_blank(begin, end)) {
        ++lines_;
        return {};
    }
    CsvRecord record;
    if (CsvProblem problem = read_csv_line(begin, end, columns_, record))
        return bad_line(lines_++, position, problem, quote(begin, end));
    const char* mark = std::find_if(begin, end, [](char c) { return c == ',' || c == ';' || c == ' ' || c == '\t'; });
    if (mark != end) separator_ = static_cast<uint8_t>(*mark);
    minus_ = minus_ || std::find(begin, end, '-') != end;
    return take(record, position, out);
}

Status CsvDecoder::take(const CsvRecord& record, int64_t position, std::vector<Event>& out) {
    const int64_t number = lines_++;
    last_raw_us_ = record.t;
    if (Status status = judge_held(record.t, out); !status.ok()) return status;
    if (t_end_us_ != kNoTime && record.t <= t_end_us_ + kAheadUs) return place(record, number, position, out);
    held_ = record;
    held_number_ = number;
    held_position_ = position;
    return {};
}

Status CsvDecoder::judge_held(int64_t next_t_us, std::vector<Event>& out) {
    if (held_number_ < 0) return {};
    const int64_t number = std::exchange(held_number_, -1);
    if (held_.t > next_t_us + kAheadUs)
        return bad_line(number, held_position_, "its time is more than a second ahead of both its neighbours");
    return place(held_, number, held_position_, out);
}

Status CsvDecoder::place(const CsvRecord& record, int64_t number, int64_t position, std::vector<Event>& out) {
    const bool wide = record.x < 0 || record.x >= width_;
    if (!wide && record.y >= 0 && record.y < height_) {
        const Event event{record.t, static_cast<uint16_t>(record.x), static_cast<uint16_t>(record.y), record.p};
        append(&event, 1, out);
        return {};
    }
    ++counters_.out_of_range;
    if (!strict()) return {};
    return outside(position, "CSV line " + std::to_string(number + 1), wide ? "x" : "y", wide ? record.x : record.y);
}

Status CsvDecoder::bad_line(int64_t number, int64_t position, const char* problem, std::string found) {
    ++counters_.bad_words;
    if (!strict()) return {};
    Status status = damage(position, "CSV line " + std::to_string(number + 1) + ": " + problem,
                           "if the columns are others pass --columns, to go on pass --on-corrupt=skip");
    status.found = std::move(found);
    status.expected = columns_.text;
    return status;
}

// Whether a last line without an end may have lost digits: a polarity is whole or nothing, a time would step back.
bool CsvDecoder::may_be_cut(const CsvRecord& record) const noexcept {
    const Column last = columns_.order.back();
    if (last == Column::t) return last_raw_us_ != kNoTime && record.t < last_raw_us_;
    return last == Column::x || last == Column::y;
}

Status CsvDecoder::settle(std::vector<Event>& out) {
    const std::string rest = std::exchange(carry_, {});
    const char* begin = rest.data();
    const char* end = begin + rest.size();
    const bool blank = is_csv_blank(begin, end);
    CsvRecord record;
    const bool cut = !blank && (read_csv_line(begin, end, columns_, record) != nullptr || may_be_cut(record));
    if (!blank && !cut)
        if (Status status = take(record, position_, out); !status.ok()) return status;
    if (held_number_ >= 0)
        if (Status status = place(held_, std::exchange(held_number_, -1), held_position_, out); !status.ok())
            return status;
    if (!cut) return {};
    if (!strict()) {
        counters_.truncated_bytes += static_cast<int64_t>(rest.size());
        return {};
    }
    Status status = damage(position_, "the last CSV line is cut");
    status.found = quote(begin, end);
    status.expected = columns_.text + " and the line's end";
    return status;
}

void CsvDecoder::save_format(StateWriter& writer) const {
    const int64_t values[] = {lines_,  position_, last_raw_us_, held_number_, held_position_,
                              held_.t, held_.x,   held_.y,      held_.p,      long_ ? 1 : 0};
    writer.put("csv", values, {10});
    writer.put("carry", reinterpret_cast<const uint8_t*>(carry_.data()), {static_cast<int64_t>(carry_.size())});
}

void CsvDecoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("csv");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    constexpr int64_t kMax = int64_t{1} << 60;
    const auto counts = [](int64_t value) { return value >= -1 && value < kMax; };
    const auto number = [](int64_t value) { return value > -kMax && value < kMax; };
    const bool sane = v.size() == 10 && v[0] >= 0 && counts(v[0]) && v[1] >= 0 && counts(v[1]) &&
                      (v[2] == kNoTime || number(v[2])) && counts(v[3]) && counts(v[4]) && number(v[5]) &&
                      number(v[6]) && number(v[7]) && (v[8] == 0 || v[8] == 1) && (v[9] == 0 || v[9] == 1);
    const bool whole = std::find(carry.begin(), carry.end(), '\n') == carry.end() && carry.size() <= kMostBytes;
    if (!sane || !whole || (v[9] == 1 && !carry.empty()))
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "csv");
    lines_ = v[0], position_ = v[1], last_raw_us_ = v[2], held_number_ = v[3], held_position_ = v[4];
    held_ = {v[5], v[6], v[7], static_cast<uint8_t>(v[8])};
    long_ = v[9] == 1;
    carry_.assign(carry.begin(), carry.end());
}

}  // namespace edgesnn::events
