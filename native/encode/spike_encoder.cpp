#include "encode/spike_encoder.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace edgesnn::encode {
namespace {

void require(bool ok, const char* what, int64_t found, const char* expected) {
    if (!ok) throw Error(ErrorKind::model, "input cannot be encoded", what, std::to_string(found), expected);
}

std::string describe(Sensor sensor) {
    return std::to_string(sensor.width) + "x" + std::to_string(sensor.height);
}

}  // namespace

SpikeEncoder::SpikeEncoder(const SpikeEncoding& encoding) : encoding_(encoding) {
    constexpr int64_t kLongest = int64_t{1} << 20;
    const Sensor sensor = encoding.sensor;
    require(sensor.width >= 1 && sensor.width <= 65536, "sensor", sensor.width, "1 to 65536");
    require(sensor.height >= 1 && sensor.height <= 65536, "sensor", sensor.height, "1 to 65536");
    const int64_t elements = int64_t{2} * sensor.width * sensor.height;
    require(elements <= std::numeric_limits<uint32_t>::max(), "sensor", elements, "at most 2^32 - 1 elements");
    require(encoding.grid.bin_us >= 1 && encoding.grid.bin_us <= (int64_t{1} << 40), "bin_us", encoding.grid.bin_us,
            "1 to 2^40");
    require(encoding.steps >= 1 && encoding.steps <= kLongest, "steps", encoding.steps, "1 to 2^20");
    require(encoding.hop_steps >= 1 && encoding.hop_steps <= kLongest, "hop_steps", encoding.hop_steps, "1 to 2^20");
    require(encoding.bound >= 1 && encoding.bound <= 255, "bound", encoding.bound, "1 to 255");
}

void SpikeEncoder::check_sensor(Sensor sensor) const {
    if (sensor.width == encoding_.sensor.width && sensor.height == encoding_.sensor.height) return;
    throw Error(ErrorKind::model, "the model takes spikes of another sensor", "sensor", describe(sensor),
                describe(encoding_.sensor), "a model of spikes has one input a pixel: import one for this sensor");
}

void SpikeEncoder::encode(const EventWindow& window, Encoded& out) {
    if (!std::holds_alternative<SpikeWindow>(out)) out.emplace<SpikeWindow>();
    SpikeWindow& made = std::get<SpikeWindow>(out);
    encode(window, made);
    clamped_ += made.clamped;
}

void SpikeEncoder::encode(const EventWindow& window, SpikeWindow& out) const {
    const auto steps = static_cast<size_t>(encoding_.steps);
    const int64_t first_bin = window.number * encoding_.hop_steps;
    const int64_t origin_us = window.t0_us - encoding_.grid.first_us(first_bin);
    out.number = window.number;
    out.clamped = 0;
    out.indices.clear();
    out.offsets.assign(steps + 1, 0);
    int64_t latest = std::numeric_limits<int64_t>::min();
    size_t next = 0;
    const auto before = [&](int64_t end_us) {
        if (next == window.events.size) return false;
        const int64_t t_us = window.events[next].t;  // a copy: the field is packed
        latest = std::max(latest, t_us);
        return latest < end_us;
    };
    while (before(window.t0_us)) ++next;
    for (size_t step = 0; step < steps; ++step) {
        const int64_t end_us = origin_us + encoding_.grid.first_us(first_bin + static_cast<int64_t>(step) + 1);
        const size_t begin = out.indices.size();
        for (; before(end_us); ++next) out.indices.push_back(element(window.events[next]));
        settle(begin, out);
        out.offsets[step + 1] = static_cast<int64_t>(out.indices.size());
    }
}

uint32_t SpikeEncoder::element(const Event& event) const noexcept {
    const auto width = static_cast<uint32_t>(encoding_.sensor.width);
    const auto height = static_cast<uint32_t>(encoding_.sensor.height);
    const uint32_t channel = encoding_.swapped ? 1u - event.p : event.p;
    return (channel * height + event.y) * width + event.x;
}

// Sorts the indices from `begin` on, and leaves out what is above the bound.
void SpikeEncoder::settle(size_t begin, SpikeWindow& out) const {
    const auto first = out.indices.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(first, out.indices.end());
    auto kept = first;
    int64_t run = 0;
    for (auto at = first; at != out.indices.end(); ++at) {
        run = at != first && *at == *(at - 1) ? run + 1 : 1;
        if (run <= encoding_.bound) *kept++ = *at;
    }
    out.clamped += out.indices.end() - kept;
    out.indices.erase(kept, out.indices.end());
}

void SpikeEncoder::save(StateWriter& writer) const {
    writer.put("counters", &clamped_, {1});
}

void SpikeEncoder::load(const StateReader& reader) {
    const std::vector<int64_t> counts = reader.get_array<int64_t>("counters");
    if (counts.size() != 1 || counts[0] < 0)
        throw Error(ErrorKind::model, "snapshot of the encoder contradicts itself", "encode/counters");
    clamped_ = counts[0];
}

void SpikeEncoder::count(pipeline::CounterMap& counters) const {
    counters["spikes_clamped"] += clamped_;
}

}  // namespace edgesnn::encode
