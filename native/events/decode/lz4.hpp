// LZ4 frames without dictionary and checksums, the ones that AEDAT4 writers make: unpacked in one go, into memory that
// is used again. Layout: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/span.hpp"

namespace edgesnn::events {

class Lz4Frame {
  public:
    // Unpacks a frame that is all of `bytes`; false where it is another kind of frame, damaged, cut, followed by
    // something, or holds more than `most` bytes. content() is its content until the next call.
    bool unpack(Span<const uint8_t> bytes, size_t most);
    Span<const uint8_t> content() const noexcept { return {room_.data(), size_}; }

  private:
    static constexpr size_t kSlack = 64;  // copies may write that much beyond what they are asked for

    // Unpacks a block behind what is there, up to `room` bytes in all.
    bool block(Span<const uint8_t> bytes, size_t room) noexcept;

    std::vector<uint8_t> room_;  // only grows
    size_t size_ = 0;
};

}  // namespace edgesnn::events
