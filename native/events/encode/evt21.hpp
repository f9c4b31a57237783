// docs/formats.md, "EVT2.1": a word holds the events of one time, row and polarity whose columns rise inside 32.
#pragma once

#include "events/encode/evt.hpp"

namespace edgesnn::events {

class Evt21Encoder final : public EvtEncoder {
  public:
    explicit Evt21Encoder(const EncoderOptions& options);
    std::unique_ptr<Encoder> clone() const override { return std::make_unique<Evt21Encoder>(*this); }

  private:
    void put_events(const Event* first, const Event* last, WordWriter& out) override;
    void put_trigger(const Trigger& trigger, WordWriter& out) override;
    void put_high(uint32_t high, WordWriter& out) override;
    void put_word(uint32_t head, uint32_t mask, WordWriter& out) {
        out.put(legacy_ ? static_cast<uint64_t>(mask) << 32 | head : static_cast<uint64_t>(head) << 32 | mask);
    }

    bool legacy_;  // the upper half comes first
};

}  // namespace edgesnn::events
