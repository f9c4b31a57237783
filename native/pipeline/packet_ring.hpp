// Decoded packets between a thread that reads and one that decides: bounded. What finds no room waits or is dropped by
// a named policy, and counted. Whole decoded packets are dropped, never bytes: the decoder has seen all of them, so its
// time and row stay right. Safe for one thread that puts and one that takes; anyone may ask for counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/error.hpp"
#include "base/steady_condition.hpp"
#include "pipeline/event_packet.hpp"

namespace edgesnn::pipeline {

enum class WhenFull {
    block,        // wait_for_room waits: for files, whose writer can wait
    drop_oldest,  // the oldest packets go
    decimate,     // of what comes while more than half is in use every keep_every-th event stays; then the oldest go
};

constexpr size_t kPacketCost = 16;  // what a packet takes beside its events, in events
constexpr size_t kLeastRing = 1 << 10;
constexpr size_t kMostRing = size_t{1} << 28;

struct RingOptions {
    WhenFull when_full = WhenFull::block;
    size_t events = size_t{1} << 20;  // room; a single packet is always taken
    int64_t keep_every = 4;
};

class PacketRing {
  public:
    struct Counts {
        int64_t waiting = 0;
        int64_t dropped_oldest = 0;
        int64_t decimated = 0;
    };

    // Throws Error{usage} on a room of less than 2^10 or more than 2^28 events, or keep_every below 2.
    explicit PacketRing(const RingOptions& options);

    // Under `block` waits until there is room; false: the ring was closed.
    bool wait_for_room();
    void put(EventPacket packet);   // never waits; drops by the policy
    void keep(EventPacket packet);  // drops nothing
    // No packet follows; `end` is what take says after the last. The first end stays.
    void finish(Status end) noexcept;
    void close() noexcept;  // wakes who waits, for good

    // Waits for a packet or the end, at most so long.
    void wait(std::chrono::milliseconds most);
    bool open_until(std::chrono::steady_clock::time_point when);  // waits; false: closed before that
    bool take(EventPacket& packet);                               // the oldest; false: none waits
    bool ended() const;                                           // finished, and none waits
    bool finished() const;
    Status end() const;

    Counts counts() const;
    std::deque<EventPacket> copy() const;
    int64_t take_losses();  // sum of `lost` of the packets that wait, which forget it
    bool blocks() const noexcept { return options_.when_full == WhenFull::block; }
    void clear();  // as new, but not closed

  private:
    static size_t cost(const EventPacket& packet) noexcept { return packet.events.size() + kPacketCost; }
    void decimate(EventPacket& packet) noexcept;
    void drop_oldest(EventPacket& packet) noexcept;
    void append(EventPacket packet);

    const RingOptions options_;
    mutable std::mutex mutex_;
    SteadyCondition room_, news_, closing_;
    std::deque<EventPacket> packets_;
    size_t used_ = 0;
    int64_t phase_ = 0;  // of decimation
    Counts counts_;
    Status end_;
    bool finished_ = false;
    bool closed_ = false;
};

}  // namespace edgesnn::pipeline
