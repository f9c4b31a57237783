// Windows of events to the active inputs of time steps (docs/arithmetic.md, section 10). Integers throughout; the
// readable form is edgesnn/encode/spikes.py, equal bit for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/time_grid.hpp"
#include "encode/adapt.hpp"
#include "encode/encoder.hpp"

namespace edgesnn::encode {

// The model file's `input` section for kind "spikes"; fields as edgesnn.encode.spikes.SpikeEncoding.
struct SpikeEncoding {
    Sensor sensor;
    TimeGrid grid;  // a bin is a step
    int64_t steps = 0;
    int64_t hop_steps = 0;
    bool swapped = false;  // polarity 1 is channel 0
    int64_t bound = 1;     // an element's largest value
    Adapt adapt = Adapt::none;
};

class SpikeEncoder final : public Encoder {
  public:
    // Throws Error{model} on a size that no window could have.
    explicit SpikeEncoder(const SpikeEncoding& encoding);
    const SpikeEncoding& encoding() const noexcept { return encoding_; }

    void check_sensor(Sensor sensor) const override;  // the model's own, or one that it says how to adapt
    void encode(const EventWindow& window, Encoded& out) override;
    // The same; events outside the window are left out. Throws Error{model} as check_sensor.
    void encode(const EventWindow& window, SpikeWindow& out);

    void save(StateWriter& writer) const override;
    void load(const StateReader& reader) override;
    void count(CounterMap& counters) const override;

  private:
    void add(const Event& event, SpikeWindow& out) noexcept;
    void settle(SpikeWindow& out);

    void adapt(Sensor sensor);

    SpikeEncoding encoding_;
    Sensor placed_;                // the sensor of the placement
    Placement placement_;          // rows: the index of their first element
    std::vector<uint8_t> counts_;  // of the step, by element; zeros between steps
    std::vector<uint64_t> marks_;  // a bit for each element that is not 0,
    std::vector<uint64_t> tops_;   // and one for each word of marks_ that is not 0
    int64_t clamped_ = 0;
    int64_t outside_ = 0;
};

}  // namespace edgesnn::encode
