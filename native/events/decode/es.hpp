// Event Stream (ES), DVS events: byte 0 holds the time since the event before and the polarity, then x and y in 16
// bits. docs/formats.md, "ES".
#pragma once

#include <array>

#include "events/decode/decoder.hpp"
#include "events/decode/event_block.hpp"

namespace edgesnn::events {

class EsDecoder final : public Decoder {
  public:
    explicit EsDecoder(DecoderOptions options);

  private:
    static constexpr size_t kLook = 64;  // bytes from an event outside the sensor that say how to go on after it

    struct Walk {
        bool inside;      // every event lies inside the sensor
        int64_t time_us;  // that it takes
    };

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    // Decodes what begins before `stop` of the `size` bytes; `used` is where it stopped: earlier for want of bytes.
    Status run(const uint8_t* data, size_t size, size_t stop, size_t& used, std::vector<Event>& out);
    // Judges the event at `data`, outside the sensor; returns how many bytes to leave out.
    size_t resume(const uint8_t* data, size_t size);
    Walk walk(const uint8_t* data, size_t size) const noexcept;
    bool inside(const uint8_t* event) const noexcept;
    Status misplaced(const uint8_t* event, int64_t position);

    int64_t position_ = 0;  // bytes decoded
    int64_t clock_us_ = 0;  // the sum of all times so far
    bool ended_ = false;    // no byte follows
    std::array<uint8_t, kLook> carry_{};
    size_t carried_ = 0;
};

}  // namespace edgesnn::events
