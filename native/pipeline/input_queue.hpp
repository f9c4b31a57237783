// The chain's first stage: packets of bytes or events wait here until someone asks for a decision; bytes are decoded a
// piece at a time, so that however large a packet is, little more than one window's events are in memory.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/stage.hpp"
#include "events/decode/decoder.hpp"

namespace edgesnn::pipeline {

constexpr size_t kPieceBytes = size_t{1} << 14;     // decoded at once
constexpr size_t kWaitingBytes = size_t{64} << 20;  // input that may wait

struct InputOptions {
    int32_t width = 0;
    int32_t height = 0;
    bool strict =
        false;  // refuse pushed events that the sensor cannot have given, instead of dropping and counting them
};

// When a packet came in and what its sender knew.
struct Stamp {
    bool given = false;
    int64_t stamp_ns = 0;    // the host stamp given with it
    int64_t arrived_ns = 0;  // monotonic clock at its push
};

class InputQueue final : public Stage {
  public:
    // `decoder` may be null: then only events can be pushed.
    InputQueue(const InputOptions& options, std::unique_ptr<events::Decoder> decoder);

    // Copies the packet. Throws Error{usage} after finish, without a decoder, or where too much waits; Error{recording}
    // on an impossible event under strict. Nothing changes when it throws.
    void push_bytes(Span<const uint8_t> bytes, Stamp stamp);
    void push_events(Span<const Event> events, int64_t t_end_us, Stamp stamp);
    bool failed() const noexcept { return !failure_.ok(); }
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

    int64_t events_in() const noexcept { return events_in_; }
    int64_t dropped() const noexcept { return impossible_; }
    int64_t pending() const noexcept;

    const char* section() const noexcept override { return "input"; }
    void save(StateWriter& writer) const override;  // also writes the sections "counters" and "decoder"
    void load(const StateReader& reader) override;
    void load_counters(const StateTensors& tensors);  // those two sections
    void count(CounterMap& counters) const override;

  private:
    struct Packet {
        bool raw = false;  // bytes of the recording, or packed events
        std::vector<uint8_t> bytes;
        int64_t t_end_us = 0;  // of events
        Stamp stamp;
    };
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
    int64_t events_in_ = 0;
    int64_t bytes_in_ = 0;
    int64_t packets_in_ = 0;
    int64_t impossible_ = 0;
};

}  // namespace edgesnn::pipeline
