// LZ4 frames: what is unpacked is what a reader that copies byte by byte unpacks, and the same frames are refused.
// Layout: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md
#include <algorithm>
#include <cstring>
#include <optional>

#include "bytes.hpp"
#include "events/decode/lz4.hpp"
#include "must.hpp"

using namespace edgesnn;

namespace {

using Content = std::vector<uint8_t>;

// Bytes that throw where there are none.
struct Input {
    const uint8_t* at;
    const uint8_t* end;

    struct Over {};
    size_t left() const { return static_cast<size_t>(end - at); }
    size_t byte() {
        if (at == end) throw Over{};
        return *at++;
    }
    size_t number(size_t size) {
        size_t value = 0;
        for (size_t i = 0; i < size; ++i) value |= byte() << 8 * i;
        return value;
    }
};

size_t length(Input& in, size_t nibble) {
    size_t sum = nibble;
    for (size_t more = nibble == 15 ? 255 : 0; more == 255; sum += more) more = in.byte();
    return sum;
}

bool block(Input in, size_t room, Content& out) {
    while (in.left() != 0) {
        const size_t token = in.byte();
        for (size_t count = length(in, token >> 4); count > 0; --count) {
            if (out.size() == room) return false;
            out.push_back(static_cast<uint8_t>(in.byte()));
        }
        if (in.left() == 0) return true;
        const size_t offset = in.number(2);
        if (offset == 0 || offset > out.size()) return false;
        for (size_t count = length(in, token & 15) + 4; count > 0; --count) {
            if (out.size() == room) return false;
            out.push_back(out[out.size() - offset]);
        }
    }
    return true;
}

// XXH32 with seed 0 of fewer than 16 bytes, as its specification words it.
uint32_t xxh32(const uint8_t* data, size_t size) {
    const auto left = [](uint32_t value, int by) { return (value << by) | (value >> (32 - by)); };
    uint32_t sum = 0x165667B1u + static_cast<uint32_t>(size);
    while (size >= 4) {
        const uint32_t lane = data[0] | data[1] << 8 | data[2] << 16 | static_cast<uint32_t>(data[3]) << 24;
        sum = left(sum + lane * 0xC2B2AE3Du, 17) * 0x27D4EB2Fu;
        data += 4, size -= 4;
    }
    while (size-- > 0) sum = left(sum + *data++ * 0x165667B1u, 11) * 0x9E3779B1u;
    sum = (sum ^ (sum >> 15)) * 0x85EBCA77u;
    sum = (sum ^ (sum >> 13)) * 0xC2B2AE3Du;
    return sum ^ (sum >> 16);
}

// The byte that a header of FLG, BD and perhaps a content size ends with.
uint8_t header_checksum(const uint8_t* descriptor, size_t size) {
    return static_cast<uint8_t>(xxh32(descriptor, size) >> 8);
}

// The content of a frame without checksums and dictionary that is all of the bytes, or nothing.
std::optional<Content> frame(Input in, size_t most) {
    Content out;
    if (in.number(4) != 0x184D2204) return {};
    const uint8_t* const descriptor = in.at;
    const size_t flags = in.byte();
    const size_t sizes = in.byte();
    const size_t code = sizes >> 4;
    if ((flags & ~size_t{0x28}) != 0x40 || (sizes & 15) != 0 || code < 4 || code > 7) return {};
    std::optional<size_t> content;
    if ((flags & 8) != 0) content = in.number(8);
    if (in.byte() != header_checksum(descriptor, content ? 10 : 2)) return {};
    while (const size_t word = in.number(4)) {
        const size_t size = word & 0x7FFFFFFF;
        if (size > in.left()) return {};
        const size_t room = std::min(out.size() + (size_t{1} << (8 + 2 * code)), most);
        const Input bytes{in.at, in.at + size};
        in.at += size;
        if (word < 0x80000000) {
            if (!block(bytes, room, out)) return {};
        } else {
            if (size > room - out.size()) return {};
            out.insert(out.end(), bytes.at, bytes.end);
        }
    }
    const bool right = in.left() == 0 && content.value_or(out.size()) == out.size();
    return right ? std::optional<Content>(std::move(out)) : std::nullopt;
}

std::optional<Content> literally(Span<const uint8_t> bytes, size_t most) {
    try {
        return frame({bytes.data, bytes.data + bytes.size}, most);
    } catch (const Input::Over&) {
        return {};
    }
}

// A frame with one block around what is left of the bytes.
Content framed(const uint8_t* data, size_t size) {
    Content out{0x04, 0x22, 0x4D, 0x18, 0x40, 0x40, 0xC0};
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(size >> 8 * i));
    out.insert(out.end(), data, data + size);
    out.insert(out.end(), 4, 0);
    return out;
}

// These bytes as a frame, of whose header the checksum is right.
Content with_checksum(const uint8_t* data, size_t size) {
    Content out(data, data + size);
    const size_t end = size > 4 && (out[4] & 8) != 0 ? 14 : 6;
    if (size > end) out[end] = header_checksum(out.data() + 4, end - 4);
    return out;
}

Content made(const uint8_t* data, size_t size) {
    if (data[0] < 128) return framed(data + 1, size - 1);
    return data[0] < 224 ? with_checksum(data + 1, size - 1) : Content(data + 1, data + size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static constexpr size_t kMost[] = {4096, 0, 1, 100, 1000, 70'000};
    if (size == 0) return 0;
    const size_t most = kMost[(data[0] & 127) % std::size(kMost)];
    const Content bytes = made(data, size);
    const Span<const uint8_t> all{bytes.data(), bytes.size()};
    const std::optional<Content> expected = literally(all, most);
    events::Lz4Frame fast;
    for (int i = 0; i < 2; ++i) {  // the memory of the first is used again
        fuzz::must(fast.unpack(all, most) == expected.has_value(), "one reader takes the frame, the other does not");
        if (!expected) continue;
        const Span<const uint8_t> content = fast.content();
        fuzz::must(content.size == expected->size() &&
                       (content.size == 0 || std::memcmp(content.data, expected->data(), content.size) == 0),
                   "the readers unpack other bytes");
    }
    return 0;
}
