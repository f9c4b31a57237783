// edgesnn.encode's encodings (PointEncoding, SpikeEncoding), read into their native twins.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bindings/bindings.hpp"
#include "encode/point_encoder.hpp"
#include "encode/spike_encoder.hpp"
#include "events/windows/window_cutter.hpp"

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

inline encode::Adapt adapt(const pybind11::object& source) {
    const auto name = source.is_none() ? std::string() : source.cast<std::string>();
    if (name.empty()) return encode::Adapt::none;
    if (name == "letterbox") return encode::Adapt::letterbox;
    if (name == "crop") return encode::Adapt::crop;
    if (name == "downsample") return encode::Adapt::downsample;
    throw Error(ErrorKind::model, "no such way to adapt a sensor", "adapt", name, "letterbox, crop or downsample");
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
    encoding.adapt = adapt(source.attr("adapt"));
    return encoding;
}

inline std::unique_ptr<encode::Encoder> make_encoder(const pybind11::object& source) {
    if (source.attr("kind").cast<std::string>() == "points")
        return std::make_unique<encode::PointEncoder>(point_encoding(source));
    return std::make_unique<encode::SpikeEncoder>(spike_encoding(source));
}

// How the stream is cut: the encoding's edgesnn.encode.grid.TimeGrid.
inline events::WindowOptions window_options(const pybind11::object& grid) {
    events::WindowOptions windows;
    windows.length = grid.attr("length").cast<int64_t>();
    windows.hop = grid.attr("hop").cast<int64_t>();
    windows.grid = {grid.attr("bin_us").cast<int64_t>(), grid.attr("rounding").cast<std::string>() == "nearest"};
    windows.from_zero = grid.attr("origin").cast<std::string>() == "zero";
    return windows;
}

}  // namespace edgesnn::bindings
