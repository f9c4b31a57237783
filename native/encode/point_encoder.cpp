#include "encode/point_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/float_environment.hpp"
#include "encode/point_loops.hpp"

namespace edgesnn::encode {
namespace {

void require(bool ok, const char* what, int64_t found, const char* expected) {
    if (!ok) throw Error(ErrorKind::model, "input cannot be encoded", what, std::to_string(found), expected);
}

constexpr size_t kMostPlaced = 128;  // candidates whose places are counted and not sorted

// Lanes of the neighbour search: about 1.5 K of them bound the K-th distance closely; 0 where every lane would hold one
// point.
size_t choose_lanes(size_t padded, size_t neighbours) {
    for (size_t lanes = 16; lanes <= kMaxLanes; lanes *= 2)
        if (3 * neighbours <= 2 * lanes && padded % lanes == 0 && padded >= 2 * lanes) return lanes;
    return 0;
}

int32_t fixed_time(int64_t t, int64_t t0_us, int64_t window_us) noexcept {
    if (t <= t0_us) return 0;
    const uint64_t elapsed = static_cast<uint64_t>(t) - static_cast<uint64_t>(t0_us);
    if (elapsed >= static_cast<uint64_t>(window_us)) return kGrid - 1;
    return static_cast<int32_t>(elapsed * uint64_t{kGrid} / static_cast<uint64_t>(window_us));
}

int32_t span_time(int64_t t, int64_t first, int64_t last) noexcept {
    const uint64_t elapsed = static_cast<uint64_t>(t) - static_cast<uint64_t>(first);
    const uint64_t span = std::max<uint64_t>(1, static_cast<uint64_t>(last) - static_cast<uint64_t>(first));
    return static_cast<int32_t>(static_cast<unsigned __int128>(elapsed) * (kGrid - 1) / span);
}

}  // namespace

void check(const PointEncoding& encoding) {
    constexpr int64_t kLongest = int64_t{1} << 48;  // elapsed * kGrid fits 64 bits
    require(encoding.window_us >= 1 && encoding.window_us <= kLongest, "window_us", encoding.window_us, "1 to 2^48");
    require(encoding.hop_us >= 1 && encoding.hop_us <= kLongest, "hop_us", encoding.hop_us, "1 to 2^48");
    require(encoding.min_events >= 0, "min_events", encoding.min_events, "0 or more");
    require(encoding.points >= 1 && encoding.points <= 65536, "points", encoding.points, "1 to 65536");
    require(encoding.groups >= 1 && encoding.groups <= encoding.points, "groups", encoding.groups, "1 to points");
    require(encoding.neighbours >= 1 && encoding.neighbours <= encoding.points, "neighbours", encoding.neighbours,
            "1 to points");
    require(int64_t{encoding.groups} * encoding.neighbours <= (int64_t{1} << 24), "groups * neighbours",
            int64_t{encoding.groups} * encoding.neighbours, "at most 2^24");
}

PointEncoder::PointEncoder(const PointEncoding& encoding) : encoding_(encoding) {
    check(encoding_);
    const size_t points = static_cast<size_t>(encoding_.points);
    padded_ = (points + kPad - 1) / kPad * kPad;
    lanes_ = choose_lanes(padded_, static_cast<size_t>(encoding_.neighbours));
    chosen_.resize(points);
    columns_.resize(3 * padded_);
    distance_.resize(padded_);
    lowest_.resize(lanes_);
    found_.resize(padded_);
    nearest_.reserve(padded_);
    candidates_.resize(kMostPlaced);
    places_.resize(kMostPlaced);
}

void PointEncoder::encode(const EventWindow& window, Encoded& out) {
    if (!std::holds_alternative<PointWindow>(out)) out.emplace<PointWindow>();
    encode(window, std::get<PointWindow>(out));
}

void PointEncoder::encode(const EventWindow& window, PointWindow& out) {
    out.number = window.number;
    sample(window.events.size, window.first_event);
    place(window.events, window.sensor, window.t0_us, out);
    group(out);
}

void PointEncoder::group(PointWindow& out) {
    out.points = encoding_.points;
    out.groups = encoding_.groups;
    out.neighbours = encoding_.neighbours;
    farthest_points(out);
    nearest_neighbours(out);
    measure(out);
}

// The `points` smallest ranks, ties by index; all events and then the smallest again where there are fewer.
void PointEncoder::sample(size_t count, uint64_t first_event) {
    const size_t points = chosen_.size();
    if (rank_.size() < count) rank_.resize(count);
    point_loops().ranks(encoding_.seed, first_event, count, rank_.data());
    select_lowest(count);
    if (keys_.size() > points) {
        std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(points), keys_.end());
        keys_.resize(points);
    } else if (count < points) {
        std::sort(keys_.begin(), keys_.end());
    }
    for (size_t i = 0; i < points; ++i) chosen_[i] = static_cast<uint32_t>(keys_[i % keys_.size()]);
    std::sort(chosen_.begin(), chosen_.end());
}

// keys_ = rank << 32 | index of at least the min(points, count) lowest ranks. Ranks are uniform: a cut a little above
// the expected one keeps enough almost always; where it does not, all are kept.
void PointEncoder::select_lowest(size_t count) {
    const size_t points = chosen_.size();
    uint32_t cut = std::numeric_limits<uint32_t>::max();
    if (count > 2 * points) {
        const double share = (static_cast<double>(points) * 1.1 + 64.0) / static_cast<double>(count);
        if (share < 1.0) cut = static_cast<uint32_t>(share * 4294967295.0);
    }
    for (;;) {
        keys_.clear();
        for (size_t i = 0; i < count; ++i)
            if (rank_[i] <= cut) keys_.push_back(uint64_t{rank_[i]} << 32 | i);
        if (keys_.size() >= std::min(points, count)) return;
        cut = std::numeric_limits<uint32_t>::max();
    }
}

void PointEncoder::place(Span<const Event> events, Sensor sensor, int64_t t0_us, PointWindow& out) {
    out.coordinates.resize(4 * chosen_.size());
    int64_t last = events[0].t;
    for (size_t i = 0; encoding_.minmax && i < events.size; ++i) {
        const int64_t t_us = events[i].t;  // a copy: the field is packed
        last = std::max(last, t_us);
    }
    int64_t latest = events[0].t;  // the running maximum up to the chosen event
    size_t seen = 0;
    for (size_t i = 0; i < chosen_.size(); ++i) {
        for (; seen <= chosen_[i]; ++seen) {
            const int64_t t_us = events[seen].t;  // a copy: the field is packed
            latest = std::max(latest, t_us);
        }
        const Event& event = events[chosen_[i]];
        int32_t* row = out.coordinates.data() + 4 * i;
        row[0] = event.x * kGrid / sensor.width;
        row[1] = event.y * kGrid / sensor.height;
        row[2] =
            encoding_.minmax ? span_time(latest, events[0].t, last) : fixed_time(latest, t0_us, encoding_.window_us);
        row[3] = event.p;
    }
}

void PointEncoder::load_columns(const PointWindow& window) {
    const size_t points = chosen_.size();
    for (size_t axis = 0; axis < 3; ++axis) {
        int16_t* column = columns_.data() + axis * padded_;
        for (size_t i = 0; i < padded_; ++i)
            column[i] = static_cast<int16_t>(window.coordinates[4 * (i < points ? i : 0) + axis]);
    }
}

void PointEncoder::farthest_points(PointWindow& out) {
    load_columns(out);
    out.centroids.resize(static_cast<size_t>(encoding_.groups));
    const Columns points{columns_.data(), columns_.data() + padded_, columns_.data() + 2 * padded_, padded_};
    const size_t groups = out.centroids.size();
    if (groups == chosen_.size()) {
        for (size_t i = 0; i < groups; ++i) out.centroids[i] = static_cast<int32_t>(i);
        return;
    }
    const PointLoops& loops = point_loops();
    std::fill(distance_.begin(), distance_.end(), std::numeric_limits<int32_t>::max());
    size_t chosen = 0;
    for (size_t i = 0; i < groups; ++i) {
        out.centroids[i] = static_cast<int32_t>(chosen);
        if (i + 1 < groups) chosen = loops.farthest(points, chosen, distance_.data());
    }
}

void PointEncoder::nearest_neighbours(PointWindow& out) {
    load_columns(out);
    const size_t neighbours = static_cast<size_t>(encoding_.neighbours);
    out.members.resize(out.centroids.size() * neighbours);
    for (size_t g = 0; g < out.centroids.size(); ++g)
        nearest(static_cast<size_t>(out.centroids[g]), out.members.data() + g * neighbours);
}

// Any K lanes have K points between them, so what K lane minima do not exceed bounds the K-th smallest distance.
// Padding repeats point 0 and would make the bound too small only through lanes whose minimum is a padded point's;
// those lanes' own point 0 copies are as near as point 0, so `within` could find fewer than K: then the bound is
// dropped.
void PointEncoder::nearest(size_t centroid, int32_t* members) {
    const Columns points{columns_.data(), columns_.data() + padded_, columns_.data() + 2 * padded_, padded_};
    const PointLoops& loops = point_loops();
    const size_t neighbours = static_cast<size_t>(encoding_.neighbours);
    const size_t lanes = lanes_ != 0 ? lanes_ : 16;
    int32_t plain[16];
    int32_t* lowest = lanes_ != 0 ? lowest_.data() : plain;
    loops.distances(points, centroid, lanes, distance_.data(), lowest);
    size_t count = 0;
    if (lanes_ != 0) {
        const int32_t bound = loops.bound(lowest, lanes, neighbours);
        count = loops.within(distance_.data(), chosen_.size(), bound, found_.data());
    }
    if (count < neighbours)
        count = loops.within(distance_.data(), chosen_.size(), std::numeric_limits<int32_t>::max(), found_.data());
    count <= kMostPlaced ? take_placed(count, members) : take_sorted(count, members);
}

// The first `neighbours` of found_[count] by (distance, index). found_ ascends, so equal distances keep their order.
void PointEncoder::take_placed(size_t count, int32_t* members) {
    const size_t neighbours = static_cast<size_t>(encoding_.neighbours);
    for (size_t i = 0; i < count; ++i) candidates_[i] = distance_[found_[i]];
    point_loops().places(candidates_.data(), count, places_.data());
    for (size_t i = 0; i < count; ++i)
        if (static_cast<size_t>(places_[i]) < neighbours) members[places_[i]] = static_cast<int32_t>(found_[i]);
}

// The same for many: a window may hold nothing but equal points.
void PointEncoder::take_sorted(size_t count, int32_t* members) {
    const size_t neighbours = static_cast<size_t>(encoding_.neighbours);
    nearest_.clear();
    for (size_t i = 0; i < count; ++i)
        nearest_.push_back(static_cast<uint64_t>(static_cast<uint32_t>(distance_[found_[i]])) << 32 | found_[i]);
    std::partial_sort(nearest_.begin(), nearest_.begin() + static_cast<std::ptrdiff_t>(neighbours), nearest_.end());
    for (size_t k = 0; k < neighbours; ++k) members[k] = static_cast<int32_t>(nearest_[k] & 0xFFFFFFFFu);
}

// sqrt((n sum d^2 - (sum d)^2) / (n (n-1))) over all n = G*K*3 differences; the sums are exact.
void PointEncoder::measure(PointWindow& out) const {
    const size_t neighbours = static_cast<size_t>(out.neighbours);
    int64_t total = 0, squares = 0;
    for (size_t g = 0; g < out.centroids.size(); ++g) {
        const int32_t* c = out.coordinates.data() + 4 * static_cast<size_t>(out.centroids[g]);
        for (size_t k = 0; k < neighbours; ++k) {
            const int32_t* m = out.coordinates.data() + 4 * static_cast<size_t>(out.members[g * neighbours + k]);
            const int32_t dx = m[0] - c[0], dy = m[1] - c[1], dt = m[2] - c[2];
            total += dx + dy + dt;
            squares += dx * dx + dy * dy + dt * dt;
        }
    }
    const FloatEnvironment environment;
    const __int128 n = static_cast<__int128>(out.members.size() * 3);
    const double spread = static_cast<double>(n * squares - static_cast<__int128>(total) * total);
    out.sd = std::sqrt(spread / static_cast<double>(n * (n - 1)));
}

}  // namespace edgesnn::encode
