#include "executor/window_check.hpp"

#include <cmath>
#include <string>

#include "base/error.hpp"

namespace edgesnn::executor {
namespace {

constexpr int64_t kMaxCount = 255;  // of events that are a float32 element

void fail_window(const std::string& what, const std::string& found, const std::string& expected) {
    throw Error(ErrorKind::model, what, "window", found, expected);
}

void check_indices(const std::vector<int32_t>& indices, int64_t points) {
    for (const int32_t i : indices)
        if (i < 0 || i >= points)
            fail_window("window has indices of points that do not exist", std::to_string(i),
                        "0 to " + std::to_string(points - 1));
}

// x, y, t on the grid of 16384, polarity 0 or 1: docs/arithmetic.md, section 8.
void check_points(const std::vector<int32_t>& coordinates) {
    for (size_t i = 0; i < coordinates.size(); ++i) {
        const int32_t most = i % 4 == 3 ? 1 : 16383;
        if (coordinates[i] < 0 || coordinates[i] > most)
            fail_window("window has points off the grid", std::to_string(coordinates[i]),
                        "0 to " + std::to_string(most));
    }
}

void check_step(const uint32_t* first, const uint32_t* end, const ValueType& type) {
    const size_t size = elements(type.shape);
    const int64_t bound = type.kind == Kind::real ? kMaxCount : type.bound;
    int64_t run = 0;
    for (const uint32_t* at = first; at != end; ++at) {
        run = at != first && *at == *(at - 1) ? run + 1 : 1;
        if (*at < size && (at == first || *at >= *(at - 1)) && run <= bound) continue;
        fail_window("window has an index out of range, out of order or above its bound", std::to_string(*at),
                    "0 to " + std::to_string(size - 1) + ", ascending, at most " + std::to_string(bound) + " times");
    }
}

}  // namespace

void check_window(const Model& model, const encode::PointWindow& window) {
    const InputSpec& input = model.spec().input;
    if (input.kind != "points") fail_window("model takes no windows of points", "points", input.kind);
    const auto size = [](int64_t n) { return static_cast<size_t>(n); };
    if (window.points != input.points || window.groups != input.groups || window.neighbours != input.neighbours ||
        window.coordinates.size() != size(input.points) * 4 || window.centroids.size() != size(input.groups) ||
        window.members.size() != size(input.groups) * size(input.neighbours))
        fail_window("window has other sizes than the model's input",
                    std::to_string(window.points) + " points, " + std::to_string(window.groups) + " groups of " +
                        std::to_string(window.neighbours),
                    std::to_string(input.points) + " points, " + std::to_string(input.groups) + " groups of " +
                        std::to_string(input.neighbours));
    check_indices(window.centroids, input.points);
    check_indices(window.members, input.points);
    check_points(window.coordinates);
    if (!std::isfinite(window.sd) || window.sd < 0)
        fail_window("window's scale is not a number", std::to_string(window.sd), "0 or more");
}

void check_window(const Model& model, const encode::SpikeWindow& window) {
    const ValueType& type = model.type(0);
    if (type.kind != Kind::integer && type.kind != Kind::real)
        fail_window("model takes no windows of spikes", "spikes", model.spec().input.kind);
    const auto& indices = window.indices;
    const auto& offsets = window.offsets;
    bool fits = !offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<int64_t>(indices.size());
    for (size_t step = 0; fits && step < window.steps(); ++step) fits = offsets[step] <= offsets[step + 1];
    if (!fits)
        fail_window("window's offsets do not cover its indices", std::to_string(window.number), "ascending from 0");
    for (size_t step = 0; step < window.steps(); ++step)
        check_step(indices.data() + offsets[step], indices.data() + offsets[step + 1], type);
}

}  // namespace edgesnn::executor
