#include "events/decode/aedat4.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr int32_t kField = 32768;  // coordinates are int16
constexpr uint32_t kLz4Magic = 0x184D2204;
constexpr uint32_t kZstdMagic = 0xFD2FB528;

// TriggerType of the vendor's schema.
enum : uint8_t {
    kSignalRising = 1,
    kSignalFalling = 2,
    kSignalPulse = 3,
    kGeneratorRising = 4,
    kGeneratorFalling = 5,
    kLastType = 9,  // exposures and frames of the camera itself
};

}  // namespace

Aedat4Packets::Aedat4Packets(DecoderOptions options)
    : GuardedDecoder("aedat4", "AEDAT4", std::move(options), kField, kField, true) {}

void Aedat4Packets::begin(Kind kind, int64_t offset) {
    next_packet();
    kind_ = kind;
    stage_ = Stage::head;
    offset_ = offset;
    received_ = size_ = count_ = left_ = carried_ = 0;
    head_.clear();
}

size_t Aedat4Packets::run(const Streams& streams, Span<const uint8_t> bytes, int64_t offset, int64_t end,
                          std::vector<Event>& out, Status& status) {
    size_t at = 0;
    const size_t most = out.size() + kMostWaiting;
    odd_ = false;
    if (!pending_.empty()) {
        at = complete(streams, bytes, end);
        const Front front = look(streams, {pending_.data(), pending_.size()}, pending_at_, end);
        if (front.part) return at;
        odd_ = !front.whole || !packet(streams, {pending_.data(), pending_.size()}, pending_at_, out, status);
        if (odd_) return at;
        pending_.clear();
    }
    while (status.ok() && at < bytes.size && out.size() < most) {
        const Span<const uint8_t> rest{bytes.data + at, bytes.size - at};
        const int64_t start = offset + static_cast<int64_t>(at);
        if (plain_left_ != 0) {
            at += plain(rest, out, status);
            continue;
        }
        const Front front = look(streams, rest, start, end);
        if (front.part && front.size != 0 && streams.packing == Packing::none) {
            begin_plain(streams, rest, start);
            at += kHeader;
            continue;
        }
        if (front.part) {
            pending_.assign(rest.begin(), rest.end());
            pending_at_ = start;
            return bytes.size;
        }
        if (!front.whole || !packet(streams, {rest.data, front.size}, start, out, status)) break;
        at += front.size;
    }
    return at;
}

int64_t Aedat4Packets::lacks(const Streams& streams) const noexcept {
    if (plain_left_ != 0) return static_cast<int64_t>(plain_left_);
    if (pending_.empty()) return 0;
    const Front front = look(streams, {pending_.data(), pending_.size()}, pending_at_, -1);
    return front.part && front.size != 0 ? static_cast<int64_t>(front.size - pending_.size()) : -1;
}

// A packet that is not packed is decoded as it comes.
void Aedat4Packets::begin_plain(const Streams& streams, Span<const uint8_t> bytes, int64_t start) {
    const auto stream = load_le<int32_t>(bytes.data);
    plain_read_ = stream == streams.events || stream == streams.triggers;
    plain_left_ = plain_size_ = load_le<uint32_t>(bytes.data + 4);
    offset_ = start;
    if (plain_read_) begin(stream == streams.events ? Kind::events : Kind::triggers, start);
}

size_t Aedat4Packets::plain(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status) {
    const size_t count = std::min(plain_left_, bytes.size);
    plain_left_ -= count;
    if (!plain_read_) return count;
    status = feed({bytes.data, count}, out);
    if (status.ok() && plain_left_ == 0) status = end(out);
    return count;
}

// Appends to the packet that waits what it lacks; returns how many bytes that took.
size_t Aedat4Packets::complete(const Streams& streams, Span<const uint8_t> bytes, int64_t end) {
    size_t at = 0;
    while (at < bytes.size) {
        const Front front = look(streams, {pending_.data(), pending_.size()}, pending_at_, end);
        if (!front.part) break;
        const size_t wanted = std::max(front.size, kHeader + 4) - pending_.size();
        const size_t more = std::min(wanted, bytes.size - at);
        pending_.insert(pending_.end(), bytes.data + at, bytes.data + at + more);
        at += more;
    }
    return at;
}

// What the bytes begin with: a whole packet, a part of one that is worth waiting for, or neither.
Aedat4Packets::Front Aedat4Packets::look(const Streams& streams, Span<const uint8_t> bytes, int64_t start,
                                         int64_t end) {
    if (bytes.size < kHeader + 4) return {0, false, true};
    const auto stream = load_le<int32_t>(bytes.data);
    const size_t size = load_le<uint32_t>(bytes.data + 4);
    const uint32_t mark = load_le<uint32_t>(bytes.data + kHeader);
    const bool known = std::find(streams.numbers.begin(), streams.numbers.end(), stream) != streams.numbers.end();
    const bool inside = end < 0 || static_cast<int64_t>(size) <= end - start - static_cast<int64_t>(kHeader);
    const uint32_t marks[] = {static_cast<uint32_t>(size - 4), kLz4Magic, kZstdMagic};
    if (!known || size < 4 || !inside || mark != marks[static_cast<size_t>(streams.packing)]) return {};
    const size_t whole = kHeader + size;
    return {whole, whole <= bytes.size, whole > bytes.size && whole <= kMostPending};
}

// Takes a whole packet; false: it is left as it is.
bool Aedat4Packets::packet(const Streams& streams, Span<const uint8_t> bytes, int64_t start, std::vector<Event>& out,
                           Status& status) {
    const auto stream = load_le<int32_t>(bytes.data);
    if (stream != streams.events && stream != streams.triggers) return true;
    const Span<const uint8_t> content{bytes.data + kHeader, bytes.size - kHeader};
    begin(stream == streams.events ? Kind::events : Kind::triggers, start);
    if (streams.packing != Packing::none) {
        if (unpack(streams, content, out, status)) return true;
        stage_ = Stage::idle;
        return false;
    }
    status = feed(content, out);
    if (status.ok()) status = end(out);
    return true;
}

bool Aedat4Packets::unpack(const Streams& streams, Span<const uint8_t> content, std::vector<Event>& out,
                           Status& status) {
    const size_t most = std::min(kMostUnpacked, content.size * 64 + (size_t{1} << 20));
    if (streams.packing == Packing::zstd) {
        if (!streams.unpack_zstd(content, most, [&](Span<const uint8_t> plain) { status = feed(plain, out); }))
            return false;
    } else {
        if (!lz4_.unpack(content, most)) return false;
        status = feed(lz4_.content(), out);
    }
    if (status.ok()) status = end(out);
    return true;
}

Status Aedat4Packets::refuse(int64_t offset, const std::string& what) {
    stage_ = Stage::broken;
    ++counters_.bad_words;
    if (!strict()) return {};
    return damage(offset, "AEDAT4 packet: " + what);
}

Status Aedat4Packets::cut(int64_t offset, int64_t have, const std::string& what) {
    stage_ = Stage::idle;
    counters_.truncated_bytes += have;
    if (!strict()) return {};
    return damage(offset, what);
}

Status Aedat4Packets::broken(const char* what) {
    return refuse(offset_, what);
}

Status Aedat4Packets::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    received_ += bytes.size;
    if (stage_ == Stage::records) return records(bytes, out);
    if (stage_ != Stage::head) return {};
    if (kind_ == Kind::triggers) return collect(bytes, kMostTriggerBytes);
    if (head_.empty() && bytes.size >= kHeadBytes) return open(bytes, out);
    const size_t used = std::min(kHeadBytes - head_.size(), bytes.size);
    head_.insert(head_.end(), bytes.data, bytes.data + used);
    if (head_.size() < kHeadBytes) return {};
    if (Status status = open({head_.data(), head_.size()}, out); !status.ok()) return status;
    return records({bytes.data + used, bytes.size - used}, out);
}

Status Aedat4Packets::collect(Span<const uint8_t> bytes, size_t most) {
    if (bytes.size > most - head_.size()) return broken("more than 1 MiB of triggers");
    head_.insert(head_.end(), bytes.data, bytes.data + bytes.size);
    return {};
}

// `bytes` begin the packet and hold its table; what of its records is there too is decoded.
Status Aedat4Packets::open(Span<const uint8_t> bytes, std::vector<Event>& out) {
    FlatBuffer buffer;
    if (!size_prefixed(bytes, buffer) || !buffer.is("EVTS")) return broken("it holds no events");
    const FlatTable table = FlatTable::root(buffer);
    size_t first = 0;
    if (!table.ok() || !table.vector(0, kRecord, first, count_)) return broken("its table of events lies outside it");
    size_ = buffer.size + 4;
    left_ = count_;
    stage_ = Stage::records;
    const size_t skip = count_ == 0 ? bytes.size : first + 4;
    return records({bytes.data + skip, bytes.size - skip}, out);
}

Status Aedat4Packets::records(Span<const uint8_t> bytes, std::vector<Event>& out) {
    Status status;
    const uint8_t* at = bytes.data;
    const uint8_t* end = bytes.data + bytes.size;
    if (carried_ != 0) {
        const size_t used = std::min(kRecord - carried_, bytes.size);
        std::memcpy(carry_.data() + carried_, at, used);
        carried_ += used;
        at += used;
        if (carried_ < kRecord) return {};
        carried_ = 0;
        blocks(carry_.data(), carry_.data() + kRecord, out, status);
        if (!status.ok()) return status;
    }
    at = blocks(at, end, out, status);
    if (!status.ok() || left_ == 0) return status;
    carried_ = static_cast<size_t>(end - at);
    std::memcpy(carry_.data(), at, carried_);
    return {};
}

// Decodes whole records, as many as are left; returns where it stopped.
const uint8_t* Aedat4Packets::blocks(const uint8_t* at, const uint8_t* end, std::vector<Event>& out, Status& status) {
    const size_t whole = std::min(left_, static_cast<size_t>(end - at) / kRecord);
    const uint8_t* stop = at + whole * kRecord;
    if (out.capacity() - out.size() < whole) out.reserve(std::max(out.size() + whole, 2 * out.capacity()));
    while (at < stop && status.ok()) {
        const size_t count = std::min(kBlock, static_cast<size_t>(stop - at) / kRecord);
        if (!ordinary(at, count, out)) status = one_by_one(at, count, out);
        at += count * kRecord;
    }
    return at;
}

// The common case: every event is inside the sensor and at most a second after the one before. Else nothing is changed.
bool Aedat4Packets::ordinary(const uint8_t* at, size_t count, std::vector<Event>& out) {
    if (bound() == 0 || latest_us() != last_t_us_) return false;
    static_assert(sizeof(Event) == 13, "a record's first bytes are the event");
    uint8_t block[kBlock * sizeof(Event) + kRecord];
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    int64_t last_us = last_t_us_;
    uint32_t odd = 0;
    for (size_t i = 0; i < count; ++i, at += kRecord) {
        const auto t_us = load_le<int64_t>(at);
        const auto step = static_cast<uint64_t>(t_us) - static_cast<uint64_t>(last_us);
        odd |= static_cast<uint32_t>(load_le<uint16_t>(at + 8) >= width) |
               static_cast<uint32_t>(load_le<uint16_t>(at + 10) >= height) | static_cast<uint32_t>(at[12] > 1) |
               static_cast<uint32_t>(step > static_cast<uint64_t>(kAheadUs));
        last_us = t_us;
        std::memcpy(block + i * sizeof(Event), at, kRecord);
    }
    if (odd != 0) return false;
    append_rising(reinterpret_cast<const Event*>(block), count, out);
    set_bound(moved(bound(), last_us));
    left_ -= count;
    return true;
}

Status Aedat4Packets::one_by_one(const uint8_t* at, size_t count, std::vector<Event>& out) {
    for (const uint8_t* stop = at + count * kRecord; at < stop; at += kRecord, --left_) {
        const Place place{offset_, static_cast<int64_t>(count_ - left_)};
        const Event event{load_le<int64_t>(at), load_le<uint16_t>(at + 8), load_le<uint16_t>(at + 10), at[12]};
        Status status = event.p > 1 ? bad_record(place, "its polarity is neither 0 nor 1") : judge(event, place, out);
        if (!status.ok()) return status;
    }
    return {};
}

Status Aedat4Packets::end(std::vector<Event>& out) {
    if (stage_ == Stage::head && kind_ == Kind::triggers) return read_triggers();
    if (stage_ == Stage::head)
        if (Status status = open({head_.data(), head_.size()}, out); !status.ok()) return status;
    if (std::exchange(stage_, Stage::idle) != Stage::records) return {};
    if (left_ != 0 || received_ != size_) return broken("its length is not what its content says");
    return {};
}

Status Aedat4Packets::read_triggers() {
    FlatBuffer buffer;
    if (!size_prefixed({head_.data(), head_.size()}, buffer) || !buffer.is("TRIG"))
        return broken("it holds no triggers");
    if (buffer.size + 4 != received_) return broken("its length is not what its content says");
    const FlatTable table = FlatTable::root(buffer);
    size_t first = 0;
    size_t count = 0;
    if (!table.ok() || !table.vector(0, 4, first, count)) return broken("its table of triggers lies outside it");
    for (size_t i = 0; i < count; ++i) {
        const FlatTable edge = FlatTable::follow(buffer, first + 4 * i);
        int64_t t_us = 0;
        uint8_t type = 0;
        if (!edge.ok() || !edge.scalar(0, t_us) || !edge.scalar(1, type)) return broken("a trigger lies outside it");
        if (t_us < 0 || t_us >= int64_t{1} << 60 || type > kLastType) return broken("a trigger that is none");
        const bool rising = type == kSignalRising || type == kSignalPulse || type == kGeneratorRising;
        if (type >= kSignalRising && type <= kGeneratorFalling) trigger(t_us, type >= kGeneratorRising ? 3 : 0, rising);
    }
    stage_ = Stage::idle;
    return {};
}

void Aedat4Packets::load_format(const StateReader& reader) {
    load_guard(reader);
    stage_ = Stage::idle;
}

Aedat4Header read_aedat4_header(Span<const uint8_t> bytes) {
    FlatBuffer buffer;
    Aedat4Header header;
    size_t first = 0;
    size_t count = 0;
    const bool whole = size_prefixed(bytes, buffer) && buffer.bytes.size == buffer.size && buffer.is("IOHE");
    const FlatTable table = FlatTable::root(buffer);
    if (!whole || !table.ok() || !table.scalar(0, header.compression) || !table.scalar(1, header.table_position) ||
        !table.vector(2, 1, first, count))
        throw Error(ErrorKind::recording, "the IOHeader is damaged");
    header.info.assign(reinterpret_cast<const char*>(buffer.bytes.data) + first, count);
    return header;
}

}  // namespace edgesnn::events
