#include "events/decode/es.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr size_t kEvent = 5;
constexpr int32_t kField = 1 << 16;
constexpr uint8_t kReset = 0xFE;
constexpr uint8_t kOverflow = 0xFF;
constexpr int64_t kOverflowUs = 127;

uint32_t load_x(const uint8_t* event) noexcept {
    return static_cast<uint32_t>(event[1]) | static_cast<uint32_t>(event[2]) << 8;
}
uint32_t load_y(const uint8_t* event) noexcept {
    return static_cast<uint32_t>(event[3]) | static_cast<uint32_t>(event[4]) << 8;
}

}  // namespace

EsDecoder::EsDecoder(DecoderOptions options) : Decoder("es", std::move(options), kField, kField) {
    check_variant({""});
}

Status EsDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    size_t start = 0;
    if (carried_ != 0) {  // what waits, with as many bytes as can matter to it
        std::array<uint8_t, 2 * kLook> joined;
        const size_t more = std::min(kLook, bytes.size);
        std::memcpy(joined.data(), carry_.data(), carried_);
        std::memcpy(joined.data() + carried_, bytes.data, more);
        size_t used = 0;
        Status status = run(joined.data(), carried_ + more, carried_, used, out);
        if (!status.ok()) return status;
        if (used < carried_) {  // still too few
            carried_ = carried_ + more - used;
            std::memcpy(carry_.data(), joined.data() + used, carried_);
            return {};
        }
        start = used - std::exchange(carried_, 0);
    }
    size_t used = 0;
    Status status = run(bytes.data + start, bytes.size - start, bytes.size - start, used, out);
    if (!status.ok()) return status;
    carried_ = bytes.size - start - used;
    std::memcpy(carry_.data(), bytes.data + start + used, carried_);
    return {};
}

Status EsDecoder::run(const uint8_t* data, size_t size, size_t stop, size_t& used, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    const auto flush = [&] {
        block.take(at);
        append(block.events(), block.count(), out);
        at = block.start();
    };
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    int64_t clock_us = clock_us_;
    size_t i = 0;
    Status status;
    while (i < stop) {
        const uint8_t first = data[i];
        if (first >= kReset) {
            clock_us += first == kOverflow ? kOverflowUs : 0;
            ++i;
            continue;
        }
        if (size - i < kEvent) break;
        const uint32_t x = load_x(data + i);
        const uint32_t y = load_y(data + i);
        if (x < width && y < height) {
            clock_us += first >> 1;
            at = EventBlock::put(at, clock_us, x, y, first & 1);
            i += kEvent;
            if (at >= block.full()) flush();
            continue;
        }
        if (strict()) {
            status = misplaced(data + i, position_ + static_cast<int64_t>(i));
            break;
        }
        if (size - i < kLook && !ended_) break;
        const size_t step = resume(data + i, std::min(kLook, size - i));
        clock_us += step == kEvent ? first >> 1 : 0;
        i += step;
    }
    flush();
    if (clock_us != clock_us_) reach(clock_us);
    clock_us_ = clock_us;
    position_ += static_cast<int64_t>(i);
    used = i;
    return status;
}

Status EsDecoder::misplaced(const uint8_t* event, int64_t position) {
    ++counters_.out_of_range;
    const bool wide = load_x(event) >= static_cast<uint32_t>(width_);
    return outside(position, "ES event", wide ? "x" : "y", wide ? load_x(event) : load_y(event));
}

// Where all that follows is inside, the event alone is damaged; else bytes were lost or came too many, and one to four
// further on they are in step again: where all that follows is inside, and takes the least time, as bytes of
// coordinates read as times take much.
size_t EsDecoder::resume(const uint8_t* data, size_t size) {
    size_t best = kEvent;
    int64_t best_us = kMaxUs;
    for (size_t step = kEvent; step > 0; --step) {
        if (step > size) continue;
        const Walk walked = walk(data + step, size - step);
        if (!walked.inside || walked.time_us >= best_us) continue;
        best = step;
        best_us = walked.time_us;
        if (step == kEvent) break;
    }
    ++(best == kEvent ? counters_.out_of_range : counters_.bad_words);
    return best;
}

EsDecoder::Walk EsDecoder::walk(const uint8_t* data, size_t size) const noexcept {
    int64_t time_us = 0;
    for (size_t i = 0; i < size;) {
        if (data[i] >= kReset) {
            time_us += data[i] == kOverflow ? kOverflowUs : 0;
            ++i;
            continue;
        }
        if (size - i < kEvent) break;
        if (!inside(data + i)) return {false, 0};
        time_us += data[i] >> 1;
        i += kEvent;
    }
    return {true, time_us};
}

bool EsDecoder::inside(const uint8_t* event) const noexcept {
    return load_x(event) < static_cast<uint32_t>(width_) && load_y(event) < static_cast<uint32_t>(height_);
}

Status EsDecoder::settle(std::vector<Event>& out) {
    ended_ = true;
    size_t used = 0;
    if (Status status = run(carry_.data(), carried_, carried_, used, out); !status.ok()) return status;
    carried_ -= used;
    if (carried_ == 0) return {};
    if (strict())
        return damage(position_, "the last ES event is cut: " + std::to_string(carried_) + " of " +
                                     std::to_string(kEvent) + " bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carried_);
    carried_ = 0;
    return {};
}

void EsDecoder::save_format(StateWriter& writer) const {
    const int64_t values[] = {position_, clock_us_};
    writer.put("es", values, {2});
    writer.put("carry", carry_.data(), {static_cast<int64_t>(carried_)});
}

void EsDecoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("es");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    const bool sane = v.size() == 2 && v[0] >= 0 && v[0] < kMaxUs && v[1] >= 0 && v[1] < kMaxUs;
    if (!sane || carry.size() >= kLook)
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "es");
    position_ = v[0], clock_us_ = v[1];
    carried_ = carry.size();
    std::copy(carry.begin(), carry.end(), carry_.begin());
}

}  // namespace edgesnn::events
