// docs/formats.md, "EVT3": events of one time, row and polarity whose columns rise go into vectors of twelve columns,
// counted from the first of them; one that is alone in its twelve is an ADDR_X.
#pragma once

#include "events/encode/evt.hpp"

namespace edgesnn::events {

class Evt3Encoder final : public EvtEncoder {
  public:
    explicit Evt3Encoder(const EncoderOptions& options);
    std::unique_ptr<Encoder> clone() const override { return std::make_unique<Evt3Encoder>(*this); }

  private:
    void put_events(const Event* first, const Event* last, WordWriter& out) override;
    void put_trigger(const Trigger& trigger, WordWriter& out) override;
    void put_high(uint32_t high, WordWriter& out) override;
    void put_low(int64_t t_us, WordWriter& out);
    const Event* put_row(const Event* first, const Event* last, WordWriter& out);

    int32_t low_ = -1;  // the last TIME_LOW since the last TIME_HIGH
    int32_t y_ = -1;    // the last ADDR_Y
};

}  // namespace edgesnn::events
