// Windows of events to grouped points: sampling, farthest points, nearest neighbours, their standard deviation.
// Integers throughout (docs/arithmetic.md, sections 8 and 9); the readable form is edgesnn/encode/points.py, equal bit
// for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/span.hpp"
#include "encode/encoder.hpp"

namespace edgesnn::encode {

constexpr int32_t kGrid = 16384;  // coordinates are integers in [0, kGrid)

// The model file's `input` section for kind "points"; fields as edgesnn.encode.points.PointEncoding.
struct PointEncoding {
    int64_t window_us = 0;
    int64_t hop_us = 0;
    int64_t min_events = 0;
    int32_t points = 0;
    int32_t groups = 0;
    int32_t neighbours = 0;
    bool minmax = false;
    uint64_t seed = 0;
};

// Throws Error{model} on a size that no window could have.
void check(const PointEncoding& encoding);

// One stream's encoder. It only keeps scratch memory: every call depends on its arguments alone. Not for two threads at
// a time.
class PointEncoder final : public Encoder {
  public:
    explicit PointEncoder(const PointEncoding& encoding);
    const PointEncoding& encoding() const noexcept { return encoding_; }

    void check_sensor(Sensor) const override {}  // coordinates are shares of any sensor
    void encode(const EventWindow& window, Encoded& out) override;
    void encode(const EventWindow& window, PointWindow& out);  // at least one event
    // Centroids, members and sd of out.coordinates, which holds `points` rows, each value in [0, kGrid).
    void group(PointWindow& out);
    // The parts of group: out.centroids [groups] by farthest point sampling, ties to the lowest index; out.members of
    // given centroids, by (squared distance, index).
    void farthest_points(PointWindow& out);
    void nearest_neighbours(PointWindow& out);

    void save(StateWriter&) const override {}
    void load(const StateReader&) override {}
    void count(CounterMap&) const override {}

  private:
    void sample(size_t count, uint64_t first_event);
    void select_lowest(size_t count);
    void place(Span<const Event> events, Sensor sensor, int64_t t0_us, PointWindow& out);
    void load_columns(const PointWindow& window);
    void nearest(size_t centroid, int32_t* members);
    void take_placed(size_t count, int32_t* members);
    void take_sorted(size_t count, int32_t* members);
    void measure(PointWindow& out) const;

    PointEncoding encoding_;
    size_t padded_;
    size_t lanes_;                     // of the neighbour search; 0: too few points to gain from a bound
    std::vector<uint32_t> rank_;       // of each event of the window
    std::vector<uint64_t> keys_;       // rank << 32 | index
    std::vector<uint32_t> chosen_;     // [points], ascending indices of the drawn events
    std::vector<int16_t> columns_;     // x, y, t, each padded_
    std::vector<int32_t> distance_;    // [padded_]
    std::vector<int32_t> lowest_;      // [lanes_]
    std::vector<uint32_t> found_;      // [padded_]
    std::vector<uint64_t> nearest_;    // distance << 32 | index of the candidates
    std::vector<int32_t> candidates_;  // distances of a few, and where they stand
    std::vector<int32_t> places_;
};

}  // namespace edgesnn::encode
