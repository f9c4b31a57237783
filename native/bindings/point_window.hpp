// edgesnn.encode.points.PointWindow, read into its native twin.
#pragma once

#include <string>

#include "bindings/bindings.hpp"
#include "encode/point_window.hpp"

namespace edgesnn::bindings {

// Copies. Throws Error{model} for an object that is not a PointWindow; the values are checked by Session::check.
inline encode::PointWindow point_window(const pybind11::object& source) {
    namespace py = pybind11;
    using Integers = py::array_t<int32_t, py::array::c_style | py::array::forcecast>;
    for (const char* name : {"number", "coordinates", "centroids", "members", "sd"})
        if (!py::hasattr(source, name))
            throw Error(ErrorKind::model, "input is not a window of points", "", py::str(py::type::of(source)),
                        "PointWindow");
    const Integers coordinates = source.attr("coordinates").cast<Integers>();
    const Integers centroids = source.attr("centroids").cast<Integers>();
    const Integers members = source.attr("members").cast<Integers>();
    if (coordinates.ndim() != 2 || centroids.ndim() != 1 || members.ndim() != 2)
        throw Error(ErrorKind::model, "window's arrays have other dimensions", "window");
    encode::PointWindow window;
    window.number = source.attr("number").cast<int64_t>();
    window.points = static_cast<int32_t>(coordinates.shape(0));
    window.groups = static_cast<int32_t>(members.shape(0));
    window.neighbours = static_cast<int32_t>(members.shape(1));
    window.coordinates.assign(coordinates.data(), coordinates.data() + coordinates.size());
    window.centroids.assign(centroids.data(), centroids.data() + centroids.size());
    window.members.assign(members.data(), members.data() + members.size());
    window.sd = source.attr("sd").cast<double>();
    return window;
}

}  // namespace edgesnn::bindings
