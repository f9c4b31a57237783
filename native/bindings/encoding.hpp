// edgesnn.encode's encodings (PointEncoding, SpikeEncoding), read into their native twins.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bindings/bindings.hpp"
#include "encode/point_encoder.hpp"
#include "encode/spike_encoder.hpp"

namespace edgesnn::bindings {

inline encode::PointEncoding point_encoding(const pybind11::object& source) {
    encode::PointEncoding encoding;
    encoding.window_us = source.attr("window_us").cast<int64_t>();
    encoding.hop_us = source.attr("hop_us").cast<int64_t>();
    encoding.min_events = source.attr("min_events").cast<int64_t>();
    encoding.points = source.attr("points").cast<int32_t>();
    encoding.groups = source.attr("groups").cast<int32_t>();
    encoding.neighbours = source.attr("neighbours").cast<int32_t>();
    encoding.minmax = source.attr("time").cast<std::string>() == "minmax";
    encoding.seed = source.attr("seed").cast<uint64_t>();
    return encoding;
}

inline encode::SpikeEncoding spike_encoding(const pybind11::object& source) {
    encode::SpikeEncoding encoding;
    const auto sensor = source.attr("sensor").cast<std::pair<int32_t, int32_t>>();
    encoding.sensor = {sensor.first, sensor.second};
    encoding.grid = {source.attr("bin_us").cast<int64_t>(), source.attr("rounding").cast<std::string>() == "nearest"};
    encoding.steps = source.attr("steps").cast<int64_t>();
    encoding.hop_steps = source.attr("hop_steps").cast<int64_t>();
    encoding.swapped = source.attr("polarity_order").cast<std::pair<int, int>>() == std::pair<int, int>{1, 0};
    encoding.bound = source.attr("bound").cast<int64_t>();
    return encoding;
}

}  // namespace edgesnn::bindings
