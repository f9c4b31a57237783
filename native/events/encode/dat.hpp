// docs/formats.md, "DAT" and "Times of records": refused are times that the decoder would take for damage or for those
// of another turn of the clock.
#pragma once

#include "events/encode/encoder.hpp"

namespace edgesnn::events {

class DatEncoder final : public Encoder {
  public:
    explicit DatEncoder(const EncoderOptions& options);
    void encode(Span<const Event> events, Span<const Trigger> triggers, int64_t t_end_us, WordWriter& out) override;
    std::unique_ptr<Encoder> clone() const override { return std::make_unique<DatEncoder>(*this); }

  private:
    void check_time(int64_t t_us);

    int64_t clock_us_;  // the largest time that the decoder has let out; the last one waits where it is far ahead of it
    int64_t waits_us_;
};

}  // namespace edgesnn::events
