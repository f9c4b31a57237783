#include "events/decode/lz4.hpp"

#include <algorithm>
#include <cstring>

#include "events/decode/flatbuffer.hpp"

namespace edgesnn::events {
namespace {

constexpr uint32_t kMagic = 0x184D2204;
constexpr size_t kPlain = size_t{1} << 31;  // a block's size says that it is not packed
constexpr uint32_t kVersion = 0x40;
constexpr uint32_t kFlagBits = 0xC0 | 0x10 | 0x04 | 0x02 | 0x01;  // version, checksums, reserved, dictionary
constexpr uint32_t kContentSize = 0x08;
constexpr uint32_t kBlockBits = 0x8F;  // reserved, of the byte with the blocks' size
constexpr size_t kShortest = 4;        // match

constexpr uint32_t rotated(uint32_t value, int bits) noexcept {
    return value << bits | value >> (32 - bits);
}

// XXH32 of fewer than 16 bytes, seed 0: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
uint32_t short_xxh32(Span<const uint8_t> bytes) noexcept {
    constexpr uint32_t k1 = 2654435761, k2 = 2246822519, k3 = 3266489917, k4 = 668265263, k5 = 374761393;
    uint32_t hash = k5 + static_cast<uint32_t>(bytes.size);
    size_t at = 0;
    for (; at + 4 <= bytes.size; at += 4) hash = rotated(hash + load_le<uint32_t>(bytes.data + at) * k3, 17) * k4;
    for (; at < bytes.size; ++at) hash = rotated(hash + bytes.data[at] * k5, 11) * k1;
    hash = (hash ^ hash >> 15) * k2;
    hash = (hash ^ hash >> 13) * k3;
    return hash ^ hash >> 16;
}

// A length of 15 goes on in bytes of 255; false: they leave the block.
bool extend(const uint8_t*& at, const uint8_t* end, size_t& length) noexcept {
    uint8_t more = 255;
    while (more == 255) {
        if (at == end) return false;
        more = *at++;
        length += more;
    }
    return true;
}

// Copies in steps of 16 bytes; writes up to 15 bytes more, reads them too.
void copy_wide(uint8_t* to, const uint8_t* from, size_t count) noexcept {
    for (size_t i = 0; i < count; i += 16) std::memcpy(to + i, from + i, 16);
}

// The bytes `offset` before `to`, again and again where they are fewer than `count`.
void copy_match(uint8_t* to, size_t offset, size_t count) noexcept {
    const uint8_t* from = to - offset;
    if (offset >= 16) {
        copy_wide(to, from, count);
    } else if (offset >= 8) {
        for (size_t i = 0; i < count; i += 8) std::memcpy(to + i, from + i, 8);
    } else {
        for (size_t i = 0; i < count; ++i) to[i] = from[i];
    }
}

}  // namespace

bool Lz4Frame::unpack(Span<const uint8_t> bytes, size_t most) {
    size_ = 0;
    if (bytes.size < 7 || load_le<uint32_t>(bytes.data) != kMagic) return false;
    const uint32_t flags = bytes.data[4];
    if ((flags & kFlagBits) != kVersion) return false;
    const size_t block_code = bytes.data[5] >> 4;
    if (block_code < 4 || (bytes.data[5] & kBlockBits) != 0) return false;
    const size_t block_most = size_t{1} << (8 + 2 * block_code);  // 64 KiB to 4 MiB
    const bool sized = (flags & kContentSize) != 0;
    size_t at = sized ? 15 : 7;
    if (bytes.size < at || bytes.data[at - 1] != (short_xxh32({bytes.data + 4, at - 5}) >> 8 & 0xFF)) return false;
    while (at + 4 <= bytes.size) {
        const size_t word = load_le<uint32_t>(bytes.data + at);
        at += 4;
        if (word == 0) return at == bytes.size && (!sized || load_le<uint64_t>(bytes.data + 6) == size_);
        const size_t size = word & (kPlain - 1);
        if (size > bytes.size - at) return false;
        const size_t room = std::min(size_ + block_most, most);  // for this block
        if (room_.size() < room + kSlack) room_.resize(room + kSlack);
        if ((word & kPlain) == 0) {
            if (!block({bytes.data + at, size}, room)) return false;
        } else {
            if (size > room - size_) return false;
            std::memcpy(room_.data() + size_, bytes.data + at, size);
            size_ += size;
        }
        at += size;
    }
    return false;
}

bool Lz4Frame::block(Span<const uint8_t> bytes, size_t room) noexcept {
    const uint8_t* at = bytes.data;
    const uint8_t* end = at + bytes.size;
    uint8_t* const first = room_.data();
    uint8_t* to = first + size_;
    uint8_t* const limit = first + room;
    while (at < end) {
        // Most sequences are short and far from both ends: copied in fixed sizes, without a branch on their lengths.
        // What is written beyond them makes the next reads of it wait, so it is little.
        while (end - at > 32 && limit - to > 64) {
            const uint32_t token = *at;
            const size_t literals = token >> 4;
            const size_t match = (token & 15) + kShortest;
            const size_t offset = load_le<uint16_t>(at + 1 + literals);
            const bool plain = literals <= 8 && match < 15 + kShortest;
            if (!plain || offset < 8 || offset > static_cast<size_t>(to - first) + literals) break;
            std::memcpy(to, at + 1, 8);
            at += 3 + literals;
            to += literals;
            const uint8_t* from = to - offset;
            std::memcpy(to, from, 8);
            if (match > 8) {
                std::memcpy(to + 8, from + 8, 8);
                std::memcpy(to + 16, from + 16, 2);
            }
            to += match;
        }
        const uint32_t token = *at++;
        size_t literals = token >> 4;
        if (literals == 15 && !extend(at, end, literals)) return false;
        if (literals > static_cast<size_t>(end - at) || literals > static_cast<size_t>(limit - to)) return false;
        if (literals <= 16 && end - at >= 16)
            std::memcpy(to, at, 16);
        else
            std::memcpy(to, at, literals);
        at += literals;
        to += literals;
        if (at == end) break;  // the last sequence has no match
        if (end - at < 2) return false;
        const size_t offset = load_le<uint16_t>(at);
        at += 2;
        size_t match = token & 15;
        if (match == 15 && !extend(at, end, match)) return false;
        match += kShortest;
        if (offset == 0 || offset > static_cast<size_t>(to - first) || match > static_cast<size_t>(limit - to))
            return false;
        copy_match(to, offset, match);
        to += match;
    }
    size_ = static_cast<size_t>(to - first);
    return true;
}

}  // namespace edgesnn::events
