// Encoded windows as tuples of Python: the fields of edgesnn.encode.points.PointWindow and
// edgesnn.encode.spikes.SpikeWindow, in their order.
#pragma once

#include <vector>

#include "bindings/bindings.hpp"
#include "encode/encoder.hpp"

namespace edgesnn::bindings {

template <typename T>
pybind11::array_t<T> matrix(const std::vector<T>& from, pybind11::ssize_t rows, pybind11::ssize_t columns) {
    return pybind11::array_t<T>({rows, columns}, from.data());
}

template <typename T>
pybind11::array_t<T> values(const std::vector<T>& from) {
    return pybind11::array_t<T>(static_cast<pybind11::ssize_t>(from.size()), from.data());
}

inline pybind11::tuple as_tuple(const encode::PointWindow& window) {
    return pybind11::make_tuple(window.number, matrix(window.coordinates, window.points, 4), values(window.centroids),
                                matrix(window.members, window.groups, window.neighbours), window.sd);
}

inline pybind11::tuple as_tuple(const encode::SpikeWindow& window) {
    return pybind11::make_tuple(window.number, values(window.indices), values(window.offsets), window.clamped,
                                window.outside);
}

}  // namespace edgesnn::bindings
