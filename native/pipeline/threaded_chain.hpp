// The chain with a thread that reads: decoding beside the decisions, and a bounded ring between them (docs/pipeline.md,
// "Threads").
//
//   reader (a file descriptor), or whoever pushes ─► decoder ─► PacketRing ─► poll: Chain without its decoding
//
// The same decisions as the chain alone where nothing is dropped. A step (read, decode, put) never waits, so that save,
// load and counters can stop it in between; what waits (for bytes, for room) waits outside of a step.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/chain.hpp"
#include "pipeline/gate.hpp"
#include "pipeline/packet_ring.hpp"
#include "pipeline/stream_reader.hpp"

namespace edgesnn::pipeline {

constexpr size_t kMostRaw = size_t{1} << 20;  // undecoded bytes in a snapshot, which load decodes

// What the chain took from the ring, for a flight recorder: what was dropped before is a packet's `lost`.
struct Tapped {
    std::vector<int64_t> packets;  // rows of (events, t_end_us, lost)
    std::vector<Event> events;     // of all packets
};

// A packet of a schedule: its events follow those of the packet before it.
struct DuePacket {
    int64_t end;       // of its events among all of the schedule
    int64_t t_end_us;  // sensor time reached after them
    int64_t due_ns;    // on the monotonic clock
};

class ThreadedChain {
  public:
    // Throws Error{usage} on a ring that cannot be.
    ThreadedChain(std::unique_ptr<Chain> chain, const RingOptions& ring);
    ~ThreadedChain() { close(); }
    ThreadedChain(const ThreadedChain&) = delete;
    ThreadedChain& operator=(const ThreadedChain&) = delete;

    // Starts the thread that reads `fd` (a duplicate is kept). At its end, `last`: the stream ends, an error is the
    // stream's error; else reading() turns false, an error is counted, and another descriptor may follow, whose bytes
    // begin with a whole word. Throws Error{usage} where it reads already, the stream has ended, there is no decoder,
    // or a socket is to wait (`block`): its sender would lose what nobody counts.
    void read(int fd, bool last, const std::string& where);
    bool reading() const noexcept { return reading_; }

    // From any thread; decode in it. Under `block` they wait until there is room: poll in another thread. Throw as
    // those of InputQueue, and Error{usage} after close.
    void push_bytes(Span<const uint8_t> bytes, Stamp stamp);
    void push_events(Span<const Event> events, int64_t t_end_us, Stamp stamp);
    // Pushes each packet when it is due and waits in between; close ends that. Returns by how many ns each was late.
    // Throws as push_events, and Error{usage} where an `end` is not among the events, or before the one before it.
    std::vector<int64_t> push_paced(Span<const Event> events, Span<const DuePacket> packets);
    void finish();  // no packet follows

    // Ends the thread and every wait, at once; what waits can still be polled.
    void close() noexcept;

    // As Chain's; one thread at a time, others wait. poll waits at most `wait` for a decision.
    Status poll(Result& out, bool& ready, std::chrono::milliseconds wait) noexcept;
    bool ended() const noexcept { return ended_; }      // poll will give nothing more
    bool finished() const { return ring_.finished(); }  // nothing will come in any more
    bool closed() const noexcept { return closed_; }
    CounterMap counters();
    StateTensors save();  // readable by a chain without threads too
    // What waits is replaced. Throws Error{model} and changes nothing then, also on more than kMostRaw undecoded bytes.
    void load(const StateTensors& tensors);
    void reset();  // as Chain::reset, between two windows

    // Of the thread that polls. From tap on what the chain takes is kept until take_tapped; where it is more than
    // `most` bytes poll takes nothing and returns at once.
    void tap(size_t most);
    bool tap_full() const noexcept { return tap_full_; }
    Tapped take_tapped();
    StateTensors save_behind();  // the chain's state behind what was tapped: without the ring and the decoder

  private:
    struct Counts {  // what came in beside the chain's own queue
        int64_t bytes = 0;
        int64_t packets = 0;
        int64_t impossible = 0;
    };
    void run() noexcept;
    bool read_some(std::vector<uint8_t>& buffer);
    bool end_of_reading(const Status& status);
    bool enter_push();
    void decode(Span<const uint8_t> bytes, Stamp stamp, bool keep);
    void put_decoded(Stamp stamp, bool keep);
    void put(size_t from, size_t to, int64_t t_end_us, const Stamp& stamp, bool keep);
    void renew_decoder();
    Status advance(Result& out, bool& ready) noexcept;
    void keep_tapped();
    void move_waiting();

    std::unique_ptr<Chain> chain_;
    PacketRing ring_;
    StateTensors fresh_;   // of the decoder
    std::mutex consumer_;  // the chain but its decoder; taken before the gate
    Gate gate_;            // the decoder, and these:
    Counts counts_;
    std::vector<Event> scratch_;
    int64_t read_errors_ = 0;
    int64_t truncated_datagrams_ = 0;

    EventPacket packet_;
    Tapped tapped_;
    size_t tap_most_ = 0;  // 0: nothing is kept
    std::atomic<bool> tap_full_{false};
    std::unique_ptr<StreamReader> reader_;
    std::thread thread_;
    std::mutex starting_;  // reader_ and thread_
    bool last_ = true;
    bool used_ = false;  // a descriptor was read before
    std::atomic<bool> reading_{false}, closed_{false}, ended_{false};
};

}  // namespace edgesnn::pipeline
