// AEDAT4: any bytes as the content of a packet, as packets of a file or a connection, and as an IOHeader. Whole and in
// pieces the same; no event outside the sensor; strict raises where skip counts damage.
//
// Bytes are taken as they are, or as records that are put into packets as a writer does, some bytes of them changed.
#include "decoding.hpp"
#include "events/decode/aedat4.hpp"
#include "must.hpp"

using namespace edgesnn;
using namespace edgesnn::events;

namespace {

constexpr int64_t kEnds[] = {-1, 0, 40, 1000};  // of the packets beyond what is there; -1: not known

void put(std::vector<uint8_t>& out, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

// A size-prefixed flatbuffer: root offset, mark, table of one field, vector of what is left of the bytes.
std::vector<uint8_t> content(fuzz::Bytes& bytes, size_t records) {
    std::vector<uint8_t> out;
    put(out, 36 + 16 * records, 4);
    put(out, 16, 4);
    out.insert(out.end(), {'E', 'V', 'T', 'S'});
    put(out, 0, 2);
    put(out, 6, 2), put(out, 8, 2), put(out, 4, 2);  // vtable: its size, the table's, the field
    put(out, 6, 4);                                  // table: where its vtable is, back from here
    put(out, 12, 4);                                 // field: where its vector is
    put(out, 0, 8);
    put(out, records, 4);
    int64_t t_us = 1'600'000'000'000'000;
    for (size_t i = 0; i < records; ++i) {
        t_us += bytes.byte();
        put(out, static_cast<uint64_t>(t_us), 8);
        put(out, bytes.byte(), 2), put(out, bytes.byte(), 2), put(out, bytes.byte() & 1, 4);
    }
    return out;
}

std::vector<uint8_t> in_lz4(const std::vector<uint8_t>& plain) {
    std::vector<uint8_t> out{0x04, 0x22, 0x4D, 0x18, 0x40, 0x40, 0xC0};
    put(out, size_t{1} << 31 | plain.size(), 4);
    out.insert(out.end(), plain.begin(), plain.end());
    put(out, 0, 4);
    return out;
}

std::vector<uint8_t> packets(fuzz::Bytes& bytes, bool framed, bool lz4) {
    std::vector<uint8_t> out;
    for (size_t count = 1 + bytes.below(3); count > 0; --count) {
        std::vector<uint8_t> one = content(bytes, bytes.below(12));
        if (lz4) one = in_lz4(one);
        if (framed) put(out, bytes.below(16) == 15 ? 7 : 0, 4), put(out, one.size(), 4);
        out.insert(out.end(), one.begin(), one.end());
        if (!framed) break;
    }
    for (size_t edits = bytes.below(4); edits > 0; --edits) {
        const size_t at = (bytes.byte() * size_t{4} + bytes.byte()) % out.size();
        out[at] = bytes.byte();
    }
    return out;
}

struct Pieces {
    Span<const uint8_t> bytes;
    fuzz::Stream sizes;
    int64_t longest;  // 0: all at once

    std::vector<uint8_t> next() {
        const size_t size =
            longest == 0 ? bytes.size : std::min(bytes.size, static_cast<size_t>(sizes.from(1, longest)));
        std::vector<uint8_t> piece(bytes.data, bytes.data + size);
        bytes = {bytes.data + size, bytes.size - size};
        return piece;
    }
};

fuzz::Decoded result(Aedat4Packets& packets, fuzz::Decoded out) {
    if (out.status.ok()) out.status = packets.finish(out.events);
    packets.take_triggers(out.triggers);
    out.t_end_us = packets.t_end_us();
    out.counters = packets.counters();
    return out;
}

fuzz::Decoded one_packet(const DecoderOptions& options, Aedat4Packets::Kind kind, Pieces pieces) {
    Aedat4Packets packets(options);
    fuzz::Decoded out;
    packets.begin(kind, 0);
    while (pieces.bytes.size != 0 && out.status.ok()) {
        const std::vector<uint8_t> piece = pieces.next();
        out.status = packets.feed({piece.data(), piece.size()}, out.events);
    }
    if (out.status.ok()) out.status = packets.end(out.events);
    return result(packets, std::move(out));
}

// The bytes are over: what is left of a last packet is decoded where it is not packed, and counted.
Status cut(Aedat4Packets& packets, const Aedat4Packets::Streams& streams, int64_t offset, std::vector<Event>& out) {
    const std::vector<uint8_t> waiting = packets.take_pending();
    if (waiting.empty() && packets.unfinished() == 0) return {};
    if (waiting.empty()) return packets.cut(packets.unfinished_at(), static_cast<int64_t>(packets.unfinished()), "cut");
    const int64_t start = offset - static_cast<int64_t>(waiting.size());
    if (waiting.size() >= 12 && streams.packing == Aedat4Packets::Packing::none && waiting[0] < 2) {
        packets.begin(waiting[0] == 0 ? Aedat4Packets::Kind::events : Aedat4Packets::Kind::triggers, start);
        const Status status = packets.feed({waiting.data() + 8, waiting.size() - 8}, out);
        if (!status.ok()) return status;
    }
    return packets.cut(start, static_cast<int64_t>(waiting.size()), "cut");
}

// Where run() leaves a packet to its caller, a byte is given up and the rest is tried.
fuzz::Decoded many_packets(const DecoderOptions& options, const Aedat4Packets::Streams& streams, int64_t end,
                           Pieces pieces) {
    Aedat4Packets packets(options);
    fuzz::Decoded out;
    std::vector<uint8_t> rest;
    int64_t offset = 0;
    while (pieces.bytes.size != 0 && out.status.ok()) {
        rest = pieces.next();
        while (!rest.empty() && out.status.ok()) {
            const size_t used = packets.run(streams, {rest.data(), rest.size()}, offset, end, out.events, out.status);
            fuzz::must(used <= rest.size(), "more is taken than there is");
            offset += static_cast<int64_t>(used);
            rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(used));
            if (!out.status.ok()) break;
            if (packets.odd()) {
                const std::vector<uint8_t> waiting = packets.take_pending();
                offset -= static_cast<int64_t>(waiting.size());
                rest.insert(rest.begin(), waiting.begin(), waiting.end());
            }
            if (rest.empty()) break;
            rest.erase(rest.begin());
            ++offset;
        }
    }
    if (out.status.ok()) out.status = cut(packets, streams, offset, out.events);
    return result(packets, std::move(out));
}

void header(Span<const uint8_t> bytes) {
    const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    try {
        read_aedat4_header({copy.data(), copy.size()});
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::recording, "a wrong header is another kind of error");
    }
}

// What is read, in both policies and all at once or in pieces.
template <typename Read>
void check(DecoderOptions options, bool both, const Pieces& whole, const Pieces& split, Read&& read) {
    const fuzz::Decoded skip = read(options, whole);
    fuzz::must_be_sane(skip, options);
    if (!both) {
        fuzz::must_equal(read(options, split), skip, "pieces give another outcome");
        return;
    }
    options.on_corrupt = OnCorrupt::strict;
    const fuzz::Decoded strict = read(options, whole);
    fuzz::must_be_sane(strict, options);
    fuzz::must_be_strict(strict, skip);
    fuzz::must_equal(read(options, split), strict, "pieces give another outcome of strict");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kChoices = 3;
    if (size < kChoices) return 0;
    fuzz::Bytes choices(data, size);
    const uint8_t mode = choices.byte();
    const uint8_t more = choices.byte();
    const auto seed = choices.byte();
    const bool lz4 = (mode & 1) != 0;
    const bool made = (mode & 2) != 0;
    const bool framed = (mode & 4) != 0;
    std::vector<uint8_t> bytes(data + kChoices, data + size);
    if (mode >= 240) header({bytes.data(), bytes.size()});
    if (made) bytes = packets(choices, framed, framed && lz4);
    DecoderOptions options{640, 480, OnCorrupt::skip, 0, "fuzz", ""};
    if ((more & 1) != 0) options.width = 200, options.height = 100;
    const Pieces whole{{bytes.data(), bytes.size()}, fuzz::Stream(0), 0};
    const Pieces split{{bytes.data(), bytes.size()}, fuzz::Stream(seed), 1 + (more >> 4) * 4};
    const bool both = (more & 2) != 0;
    if (!framed) {
        const auto kind = (mode & 8) != 0 ? Aedat4Packets::Kind::triggers : Aedat4Packets::Kind::events;
        check(options, both, whole, split,
              [&](const DecoderOptions& o, const Pieces& pieces) { return one_packet(o, kind, pieces); });
        return 0;
    }
    const int64_t beyond = kEnds[more >> 2 & 3];
    const int64_t end = beyond < 0 ? -1 : static_cast<int64_t>(bytes.size()) + beyond;
    const Aedat4Packets::Streams streams{
        {0, 1, 7}, 0, 1, lz4 ? Aedat4Packets::Packing::lz4 : Aedat4Packets::Packing::none};
    check(options, both, whole, split,
          [&](const DecoderOptions& o, const Pieces& pieces) { return many_packets(o, streams, end, pieces); });
    return 0;
}
