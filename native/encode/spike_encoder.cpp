#include "encode/spike_encoder.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace edgesnn::encode {
namespace {

void require(bool ok, const char* what, int64_t found, const char* expected) {
    if (!ok) throw Error(ErrorKind::model, "input cannot be encoded", what, std::to_string(found), expected);
}

// Visits the bits of a word in ascending order, numbered from 64 * `place` on, and clears them.
template <typename Visit>
void each_bit(uint64_t& word, size_t place, Visit visit) {
    for (; word != 0; word &= word - 1) visit(64 * place + static_cast<size_t>(__builtin_ctzll(word)));
}

}  // namespace

SpikeEncoder::SpikeEncoder(const SpikeEncoding& encoding) : encoding_(encoding) {
    constexpr int64_t kLongest = int64_t{1} << 20;
    const Sensor sensor = encoding.sensor;
    require(sensor.width >= 1 && sensor.width <= 65536, "sensor", sensor.width, "1 to 65536");
    require(sensor.height >= 1 && sensor.height <= 65536, "sensor", sensor.height, "1 to 65536");
    const int64_t elements = int64_t{2} * sensor.width * sensor.height;
    require(elements <= (int64_t{1} << 28), "sensor", elements, "at most 2^28 elements");
    require(encoding.grid.bin_us >= 1 && encoding.grid.bin_us <= (int64_t{1} << 40), "bin_us", encoding.grid.bin_us,
            "1 to 2^40");
    require(encoding.steps >= 1 && encoding.steps <= kLongest, "steps", encoding.steps, "1 to 2^20");
    require(encoding.hop_steps >= 1 && encoding.hop_steps <= kLongest, "hop_steps", encoding.hop_steps, "1 to 2^20");
    require(encoding.bound >= 1 && encoding.bound <= 255, "bound", encoding.bound, "1 to 255");
    counts_.resize(static_cast<size_t>(elements));
    marks_.resize((counts_.size() + 63) / 64);
    tops_.resize((marks_.size() + 63) / 64);
}

void SpikeEncoder::check_sensor(Sensor sensor) const {
    place(encoding_.adapt, sensor, encoding_.sensor);
}

void SpikeEncoder::adapt(Sensor sensor) {
    if (sensor.width == placed_.width && sensor.height == placed_.height) return;
    placement_ = place(encoding_.adapt, sensor, encoding_.sensor);
    for (int32_t& row : placement_.rows)
        if (row > 0) row *= encoding_.sensor.width;
    placed_ = sensor;
}

void SpikeEncoder::encode(const EventWindow& window, Encoded& out) {
    if (!std::holds_alternative<SpikeWindow>(out)) out.emplace<SpikeWindow>();
    SpikeWindow& made = std::get<SpikeWindow>(out);
    encode(window, made);
    clamped_ += made.clamped;
    outside_ += made.outside;
}

void SpikeEncoder::encode(const EventWindow& window, SpikeWindow& out) {
    const auto steps = static_cast<size_t>(encoding_.steps);
    const int64_t first_bin = window.number * encoding_.hop_steps;
    const int64_t origin_us = window.t0_us - encoding_.grid.first_us(first_bin);
    adapt(window.sensor);
    out.number = window.number;
    out.clamped = out.outside = 0;
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
        for (; before(end_us); ++next) add(window.events[next], out);
        settle(out);
        out.offsets[step + 1] = static_cast<int64_t>(out.indices.size());
    }
}

void SpikeEncoder::add(const Event& event, SpikeWindow& out) noexcept {
    const int32_t column = placement_.columns[event.x], row = placement_.rows[event.y];
    if ((column | row) < 0) {
        ++out.outside;
        return;
    }
    const size_t channel = encoding_.swapped ? 1u - event.p : event.p;
    const size_t index = channel * (counts_.size() / 2) + static_cast<size_t>(row + column);
    if (counts_[index] >= encoding_.bound) {
        ++out.clamped;
        return;
    }
    ++counts_[index];
    const size_t word = index / 64;
    marks_[word] |= uint64_t{1} << index % 64;
    tops_[word / 64] |= uint64_t{1} << word % 64;
}

// Appends the step's indices in ascending order, each as often as it counts, and forgets them.
void SpikeEncoder::settle(SpikeWindow& out) {
    for (size_t top = 0; top < tops_.size(); ++top)
        each_bit(tops_[top], top, [&](size_t word) {
            each_bit(marks_[word], word, [&](size_t index) {
                out.indices.insert(out.indices.end(), counts_[index], static_cast<uint32_t>(index));
                counts_[index] = 0;
            });
        });
}

void SpikeEncoder::save(StateWriter& writer) const {
    const int64_t counts[] = {clamped_, outside_};
    writer.put("counters", counts, {2});
    writer.put("adapt", static_cast<int64_t>(encoding_.adapt));
}

void SpikeEncoder::load(const StateReader& reader) {
    const std::vector<int64_t> counts = reader.get_counts("counters", 2);
    if (reader.get<int64_t>("adapt") != static_cast<int64_t>(encoding_.adapt))
        throw Error(ErrorKind::model, "snapshot is of a sensor that was adapted otherwise", "encode/adapt");
    clamped_ = counts[0];
    outside_ = counts[1];
}

void SpikeEncoder::count(CounterMap& counters) const {
    counters["spikes_clamped"] += clamped_;
    counters["events_outside"] += outside_;
}

}  // namespace edgesnn::encode
