#include "events/decode/word_decoder.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

// A time that a decoder can have made: arithmetic on it cannot overflow.
bool sane(int64_t t_us) noexcept {
    return t_us >= 0 && t_us < int64_t{1} << 60;
}

}  // namespace

WordDecoder::WordDecoder(DecoderOptions options, Format format)
    : Decoder(format.name, std::move(options), kField, kField), format_(format), high_(format.high_bits) {}

Status WordDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    const size_t size = format_.word_bytes;
    size_t used = 0;
    if (carried_ != 0) {
        used = std::min(size - carried_, bytes.size);
        std::memcpy(carry_.data() + carried_, bytes.data, used);
        carried_ += used;
        if (carried_ < size) return {};
        carried_ = 0;
        if (Status status = run(carry_.data(), 1, out); !status.ok()) return status;
    }
    const size_t count = (bytes.size - used) / size;
    if (Status status = run(bytes.data + used, count, out); !status.ok()) return status;
    used += count * size;
    carried_ = bytes.size - used;
    std::memcpy(carry_.data(), bytes.data + used, carried_);
    return {};
}

Status WordDecoder::run(const uint8_t* data, size_t count, std::vector<Event>& out) {
    Status status = decode_words(data, count, out);
    words_ += static_cast<int64_t>(count);
    if (!high_.waiting() && reached_us_ != kNoTime) reach(reached_us_);
    return status;
}

Status WordDecoder::settle(std::vector<Event>& out) {
    if (high_.waiting()) {
        const TimeHigh::Verdict verdict = high_.judge_last();
        const int64_t at = candidate_at_;
        settle_candidate(verdict, false, out);
        if (verdict == TimeHigh::Verdict::refuted && strict())
            return damage(at * static_cast<int64_t>(format_.word_bytes),
                          std::string(format_.title) + " word " + std::to_string(at) +
                              ": the last TIME_HIGH does not follow the one before it");
    }
    if (carried_ == 0) return {};
    if (strict())
        return damage(words_ * static_cast<int64_t>(format_.word_bytes),
                      std::string("the last ") + format_.title + " word is cut: " + std::to_string(carried_) + " of " +
                          std::to_string(format_.word_bytes) + " bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carried_);
    carried_ = 0;
    return {};
}

Status WordDecoder::on_time_high(uint32_t word, size_t index, std::vector<Event>& out) {
    Status status;
    if (high_.waiting()) {
        const TimeHigh::Verdict verdict = high_.judge(word);
        if (verdict == TimeHigh::Verdict::refuted && strict())
            status = damage(candidate_at_ * static_cast<int64_t>(format_.word_bytes),
                            std::string(format_.title) + " word " + std::to_string(candidate_at_) +
                                ": TIME_HIGH fits neither the one before it nor the one after it");
        settle_candidate(verdict, high_.at_reference(word), out);
        if (!status.ok()) return status;
    }
    if (high_.advance(word)) {
        if (reached_us_ != kNoTime) reach(reached_us_);
        reached_us_ = kNoTime;
        candidate_at_ = words_ + static_cast<int64_t>(index);
    }
    reached_us_ = std::max(reached_us_, base_us());
    return status;
}

void WordDecoder::settle_candidate(TimeHigh::Verdict verdict, bool same_time, std::vector<Event>& out) {
    if (verdict == TimeHigh::Verdict::confirmed) {
        accept_held(out);
        return;
    }
    ++counters_.bad_words;
    const int64_t shift_us = (high_.value() - high_.reference_value()) * (int64_t{1} << format_.high_shift);
    high_.reject();
    if (same_time) {  // the words before and after say the same, so the damaged one did too
        release(shift_us, out);
        return;
    }
    counters_.unplaced_events += static_cast<int64_t>(held_.size());
    held_.clear();
    held_triggers_.clear();
    reached_us_ = kNoTime;
}

void WordDecoder::accept_held(std::vector<Event>& out) {
    if (high_.accept()) ++counters_.time_resyncs;
    release(0, out);
}

void WordDecoder::release(int64_t shift_us, std::vector<Event>& out) {
    for (Event& event : held_) event.t -= shift_us;
    append_marked(held_.data(), held_.size(), out);
    for (Trigger edge : held_triggers_) {
        edge.t -= shift_us;
        triggers_.push_back(edge);
    }
    if (reached_us_ != kNoTime) reach(reached_us_ -= shift_us);
    held_.clear();
    held_triggers_.clear();
}

EventBlock::Cursor WordDecoder::flush(EventBlock& block, EventBlock::Cursor end, std::vector<Event>& out) {
    block.take(end);
    if (!high_.waiting()) {
        append_marked(block.events(), block.count(), out);
        if (reached_us_ != kNoTime) reach(reached_us_);
    } else {
        for (size_t i = 0; i < block.count(); ++i) {
            held_.push_back(block.events()[i]);
            if (held_.size() < kHeldEvents) continue;
            accept_held(out);  // so many events under one word: it is no slip
            append_marked(block.events() + i + 1, block.count() - i - 1, out);
            break;
        }
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
    held_triggers_.push_back(record);
    if (held_triggers_.size() >= kHeldEvents) accept_held(out);
}

int64_t WordDecoder::position(size_t index) const noexcept {
    return (words_ + static_cast<int64_t>(index)) * static_cast<int64_t>(format_.word_bytes);
}

std::string WordDecoder::word_name(size_t index) const {
    return std::string(format_.title) + " word " + std::to_string(words_ + static_cast<int64_t>(index));
}

Status WordDecoder::bad_word(size_t index, uint32_t type, uint32_t word) {
    ++counters_.bad_words;
    if (!strict()) return {};
    char text[64];
    std::snprintf(text, sizeof text, ": unknown word type 0x%X (0x%0*X)", type,
                  static_cast<int>(format_.word_bytes) * 2, word);
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
    writer.put("candidate_at", candidate_at_);
    writer.put("reached_us", reached_us_);
    save_records(writer, "held", held_);
    save_records(writer, "held_triggers", held_triggers_);
    writer.put("carry", carry_.data(), {static_cast<int64_t>(carried_)});
    save_words(writer);
}

void WordDecoder::load_format(const StateReader& reader) {
    TimeHigh high(format_.high_bits);
    high.load(reader);
    const auto words = reader.get<int64_t>("words");
    const auto candidate_at = reader.get<int64_t>("candidate_at");
    const auto reached_us = reader.get<int64_t>("reached_us");
    std::vector<Event> held = load_events(reader, "held");
    std::vector<Trigger> held_triggers = load_triggers(reader, "held_triggers");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    const bool inside = std::all_of(held.begin(), held.end(), [&](const Event& e) {
        return e.x < width_ && e.y < height_ && e.p < 2 && sane(e.t);
    });
    const bool timely =
        std::all_of(held_triggers.begin(), held_triggers.end(), [](const Trigger& e) { return sane(e.t); });
    if (carry.size() >= format_.word_bytes || held.size() >= kHeldEvents || !inside || !timely || !sane(words) ||
        !sane(candidate_at) || !(reached_us == kNoTime || sane(reached_us)))
        throw Error(ErrorKind::model, "snapshot of a decoder does not fit its format or sensor", format_.title);
    load_words(reader);
    high_ = high;
    words_ = words;
    candidate_at_ = candidate_at;
    reached_us_ = reached_us;
    held_ = std::move(held);
    held_triggers_ = std::move(held_triggers);
    carried_ = carry.size();
    std::copy(carry.begin(), carry.end(), carry_.begin());
}

}  // namespace edgesnn::events
