// docs/formats.md, "ES".
#pragma once

#include "events/encode/encoder.hpp"

namespace edgesnn::events {

class EsEncoder final : public Encoder {
  public:
    explicit EsEncoder(const EncoderOptions& options);
    void encode(Span<const Event> events, Span<const Trigger> triggers, int64_t t_end_us, WordWriter& out) override;
    std::unique_ptr<Encoder> clone() const override { return std::make_unique<EsEncoder>(*this); }

  private:
    int64_t advance(int64_t t_us, WordWriter& out);

    int64_t clock_us_ = 0;
};

}  // namespace edgesnn::events
