// jAER's AEDAT 2.0: eight bytes an event, address and microseconds, big-endian. docs/formats.md, "AEDAT2".
#pragma once

#include <array>

#include "events/decode/carry.hpp"
#include "events/decode/event_block.hpp"
#include "events/decode/guarded_decoder.hpp"

namespace edgesnn::events {

class Aedat2Decoder final : public GuardedDecoder {
  public:
    // options.variant names the camera: its address layout and the size by which it is mirrored. "": a DAVIS of the
    // sensor's size. Throws Error{usage} where that is not known.
    explicit Aedat2Decoder(DecoderOptions options);

    struct Camera {
        const char* name;
        bool davis;
        int32_t width;
        int32_t height;
    };

  private:
    static constexpr size_t kRecord = 8;

    Aedat2Decoder(DecoderOptions options, const Camera& camera);

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    Status run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out);
    Status record(uint32_t address, uint32_t time, std::vector<Event>& out);
    Event event_at(uint32_t address, int64_t t_us) const noexcept;
    int64_t base_us() const noexcept;
    int64_t unwrapped(uint32_t time) const noexcept;

    const Camera& camera_;
    int32_t last_x_;  // the mirror's
    int32_t last_y_;
    uint32_t event_mask_;  // address bits that are 0 in an event
    int64_t records_ = 0;  // seen so far
    Carry carry_{kRecord};
};

}  // namespace edgesnn::events
