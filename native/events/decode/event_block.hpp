// A small buffer of events on the stack of a decoder's inner loop: keeps the growth of vectors out of it.
//
// The loop holds its own cursor (a register), puts events with put(), and hands the cursor back with take() before
// anybody looks at the block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/event.hpp"

namespace edgesnn::events {

class EventBlock {
  public:
    using Cursor = uint8_t*;

    Cursor start() noexcept { return bytes_; }
    // Beyond it the block is to be flushed; one more word's events (at most 32) still have room.
    const uint8_t* full() const noexcept { return bytes_ + kSize * sizeof(Event); }

    // Writes one event and returns the cursor behind it. (Two overlapping stores of eight bytes were slower.)
    static Cursor put(Cursor at, int64_t t, uint32_t x, uint32_t y, uint32_t p) noexcept {
        const Event event{t, static_cast<uint16_t>(x), static_cast<uint16_t>(y), static_cast<uint8_t>(p)};
        std::memcpy(at, &event, sizeof event);
        return at + sizeof(Event);
    }

    void take(Cursor end) noexcept { count_ = static_cast<size_t>(end - bytes_) / sizeof(Event); }
    void clear() noexcept { count_ = 0; }
    const Event* events() const noexcept { return reinterpret_cast<const Event*>(bytes_); }
    size_t count() const noexcept { return count_; }

  private:
    static constexpr size_t kSize = 1024;
    static constexpr size_t kRoom = 32;

    uint8_t bytes_[(kSize + kRoom) * sizeof(Event)];
    size_t count_ = 0;
};

}  // namespace edgesnn::events
