// The chain's first stage: packets of bytes or events wait here until someone asks for a decision; bytes are decoded a
// piece at a time, so that however large a packet is, little more than one window's events are in memory.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "base/stage.hpp"
#include "events/decode/decoder.hpp"
#include "pipeline/event_packet.hpp"

namespace edgesnn::pipeline {

constexpr size_t kPieceBytes = size_t{1} << 14;     // decoded at once
constexpr size_t kWaitingBytes = size_t{64} << 20;  // input that may wait

struct InputOptions {
    int32_t width = 0;
    int32_t height = 0;
    bool strict =
        false;  // refuse pushed events that the sensor cannot have given, instead of dropping and counting them
};

class InputQueue final : public Stage {
  public:
    struct Packet {
        bool raw = false;  // bytes of the recording, or packed events
        std::vector<uint8_t> bytes;
        int64_t t_end_us = 0;  // of events
        Stamp stamp;
    };
    struct Counts {
        int64_t events_in = 0;
        int64_t bytes_in = 0;
        int64_t packets_in = 0;
        int64_t impossible = 0;
        int64_t ring_full = 0;  // of a ThreadedChain's ring
        int64_t decimated = 0;
    };

    // `decoder` may be null: then only events can be pushed.
    InputQueue(const InputOptions& options, std::unique_ptr<events::Decoder> decoder);

    // Copies the packet. Throws Error{usage} after finish, without a decoder, or where too much waits; Error{recording}
    // on an impossible event under strict. Nothing changes when it throws.
    void push_bytes(Span<const uint8_t> bytes, Stamp stamp);
    void push_events(Span<const Event> events, int64_t t_end_us, Stamp stamp);
    bool decodes() const noexcept { return decoder_ != nullptr; }
    void finish() noexcept { finished_ = true; }
    bool finished() const noexcept { return finished_; }

    // The events that come next, possibly none before time() is reached; call next() when both are used up.
    Span<const Event> events() const noexcept;
    void take(size_t count) noexcept { taken_ += count; }
    int64_t time_us() const noexcept;  // reached after events(); kNoTime: none
    const Stamp& stamp() const noexcept { return stamp_; }
    // Prepares the next events; false at the end of the input. An error of the decoder comes after all events before
    // it, and stays.
    Status next(bool& more);

    int64_t pending() const noexcept;

    // For a ThreadedChain, whose reader has the decoder: its packets are given when next() has no more.
    events::Decoder* decoder() noexcept { return decoder_.get(); }
    void forget_triggers();                                              // of the decoder: nobody asks for them
    std::vector<Event> possible_events(Span<const Event> events) const;  // throws as push_events
    void give(EventPacket& packet);                                      // its events are swapped with used ones
    void fail(Status status) noexcept { failure_ = std::move(status); }
    Status take_failure() noexcept { return std::exchange(failure_, Status{}); }  // as if it had not failed
    std::deque<Packet> take_waiting();  // all that wait undecoded or unopened; no longer counted
    bool take_finish() noexcept { return std::exchange(finished_, false); }  // whether finish was called; as if not
    static size_t undecoded_bytes(const StateTensors& tensors);              // that load would leave waiting
    // Adds packets that wait behind this queue's, and counts, to what it saved.
    void add_to(StateTensors& tensors, const std::deque<EventPacket>& packets, const Counts& counts,
                bool finished) const;

    const char* section() const noexcept override { return "input"; }
    void save(StateWriter& writer) const override;  // also writes the sections "counters" and "decoder"
    void load(const StateReader& reader) override;
    void load_counters(const StateTensors& tensors);  // those two sections
    void count(CounterMap& counters) const override;

  private:
    void enqueue(Packet packet);
    void open(Packet& packet);
    void take_decoded();
    void load_marks(const std::vector<int64_t>& marks);
    void save_packets(StateWriter& writer) const;
    std::deque<Packet> load_packets(const StateReader& reader) const;
    bool possible(const Event& event) const noexcept;

    InputOptions options_;
    std::unique_ptr<events::Decoder> decoder_;
    std::deque<Packet> packets_;
    size_t waiting_bytes_ = 0;
    size_t decoded_bytes_ = 0;             // of the front packet
    std::vector<Event> piece_;             // decoded events; from taken_ on they wait
    std::vector<events::TimeMark> marks_;  // of the piece; from mark_ on they are ahead
    size_t taken_ = 0;
    size_t mark_ = 0;
    int64_t piece_end_us_ = events::kNoTime;
    Stamp stamp_;
    Status failure_;
    bool finished_ = false;
    bool settled_ = false;  // the decoder's finish was called
    Counts counts_;
};

}  // namespace edgesnn::pipeline
