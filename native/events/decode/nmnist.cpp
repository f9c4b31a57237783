#include "events/decode/nmnist.hpp"

#include <utility>

namespace edgesnn::events {
namespace {

constexpr size_t kRecord = 5;
constexpr int64_t kOverflowUs = 1 << 13;  // the camera's counter has 13 bits
constexpr uint8_t kOverflowY = 240;

}  // namespace

NmnistDecoder::NmnistDecoder(DecoderOptions options)
    : RecordDecoder(std::move(options), {"nmnist", "N-MNIST", kRecord, 256, 256}) {
    check_variant({""});
}

Status NmnistDecoder::decode_records(const uint8_t* data, size_t count, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    Status status;
    for (size_t i = 0; i < count && status.ok(); ++i) {
        if (plain(data + i * kRecord, at)) {
            if (at >= block.full()) at = flush(block, at, out);
            continue;
        }
        at = flush(block, at, out);
        status = record(data + i * kRecord, records() + static_cast<int64_t>(i), out);
    }
    flush(block, at, out);
    return status;
}

// The common case: nothing waits, the time follows, the place is inside. Else nothing is changed.
bool NmnistDecoder::plain(const uint8_t* at, EventBlock::Cursor& cursor) noexcept {
    const int64_t raw_us = (at[2] & 0x7F) << 16 | at[3] << 8 | at[4];
    const int64_t t_us = raw_us + overflow_us_;
    const bool waits = markers_ != 0 || at[1] == kOverflowY;
    if (waits || at[0] >= width_ || at[1] >= height_ || t_us > plain_until_us()) return false;
    cursor = EventBlock::put(cursor, t_us, at[0], at[1], at[2] >> 7);
    reach(t_us);
    last_raw_us_ = raw_us;
    return true;
}

Status NmnistDecoder::record(const uint8_t* at, int64_t number, std::vector<Event>& out) {
    if (at[1] == kOverflowY) {
        ++markers_;
        return {};
    }
    const int64_t raw_us = (at[2] & 0x7F) << 16 | at[3] << 8 | at[4];
    if (Status status = count_markers(raw_us < last_raw_us_, number - markers_); !status.ok()) return status;
    last_raw_us_ = raw_us;
    return take({raw_us + overflow_us_, at[0], at[1], static_cast<uint8_t>(at[2] >> 7)}, number, out);
}

// The waiting markers, the first of them record `first`: overflows where the counter started again, else damage.
Status NmnistDecoder::count_markers(bool overflowed, int64_t first) {
    const int64_t markers = std::exchange(markers_, 0);
    if (overflowed) {
        overflow_us_ += markers * kOverflowUs;
        return {};
    }
    if (markers == 0) return {};
    counters_.bad_words += markers - 1;
    return bad_record(first, "an overflow marker where the time does not start again");
}

Status NmnistDecoder::settle_records() {
    return count_markers(false, records() - markers_);
}

void NmnistDecoder::save_records_of(StateWriter& writer) const {
    const int64_t values[] = {overflow_us_, last_raw_us_, markers_};
    writer.put("nmnist", values, {3});
}

void NmnistDecoder::load_records_of(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("nmnist");
    constexpr int64_t kMax = int64_t{1} << 56;
    constexpr int64_t kMostMarkers = int64_t{1} << 40;  // no sum of times overflows
    const bool sane =
        v.size() == 3 && v[0] >= 0 && v[0] < kMax && v[1] >= -1 && v[1] < kMax && v[2] >= 0 && v[2] < kMostMarkers;
    if (!sane) throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "nmnist");
    overflow_us_ = v[0], last_raw_us_ = v[1], markers_ = v[2];
}

}  // namespace edgesnn::events
