// edgesnn.encode.points.PointEncoding, read into its native twin.
#pragma once

#include <string>

#include "bindings/bindings.hpp"
#include "encode/point_encoder.hpp"

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

}  // namespace edgesnn::bindings
