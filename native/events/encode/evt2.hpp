// docs/formats.md, "EVT2".
#pragma once

#include "events/encode/evt.hpp"

namespace edgesnn::events {

class Evt2Encoder final : public EvtEncoder {
  public:
    explicit Evt2Encoder(const EncoderOptions& options);
    std::unique_ptr<Encoder> clone() const override { return std::make_unique<Evt2Encoder>(*this); }

  private:
    void put_events(const Event* first, const Event* last, WordWriter& out) override;
    void put_trigger(const Trigger& trigger, WordWriter& out) override;
    void put_high(uint32_t high, WordWriter& out) override;
};

}  // namespace edgesnn::events
