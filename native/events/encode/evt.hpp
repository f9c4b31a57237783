// What the encoders of EVT2, EVT2.1 and EVT3 share: the high part of the clock, and triggers among the events.
//
// A TIME_HIGH is written once, and none is left out over gaps of up to kEvery: a decoder believes each of them at once.
// Longer gaps are leapt over in steps of a quarter of the clock's range, each confirmed by six words. docs/formats.md,
// "The clock of EVT2, EVT2.1 and EVT3".
#pragma once

#include <limits>

#include "events/encode/encoder.hpp"

namespace edgesnn::events {

class EvtEncoder : public Encoder {
  public:
    void encode(Span<const Event> events, Span<const Trigger> triggers, int64_t t_end_us, WordWriter& out) final;

  protected:
    struct Format {
        const char* title;
        int high_bits;   // of TIME_HIGH
        int high_shift;  // how far it stands above microseconds
        uint32_t channels;
    };
    static constexpr int32_t kField = 2048;

    EvtEncoder(const EncoderOptions& options, Format format);

    virtual void put_events(const Event* first, const Event* last, WordWriter& out) = 0;
    virtual void put_trigger(const Trigger& trigger, WordWriter& out) = 0;
    virtual void put_high(uint32_t high, WordWriter& out) = 0;

    // Whether t_us lies under the current TIME_HIGH.
    bool current(int64_t t_us) const noexcept { return t_us >> format_.high_shift == high_; }
    // Writes the TIME_HIGH words up to t_us. Throws where it lies before the current one, or too far behind it.
    void enter(int64_t t_us, WordWriter& out);

  private:
    static constexpr int64_t kEveryUs = int64_t{1} << 26;
    static constexpr int64_t kMostUs = int64_t{1} << 40;
    static constexpr int64_t kConfirmed = 6;
    static constexpr int64_t kNone = std::numeric_limits<int64_t>::min();

    Format format_;
    int64_t high_ = kNone;  // the last TIME_HIGH, wraps included
};

}  // namespace edgesnn::events
