// _native.encode: points and spikes. The arguments are those of edgesnn/encode/points.py and spikes.py;
// edgesnn/encode/native.py is the public door.
#include <optional>

#include "bindings/array_stream.hpp"
#include "bindings/bindings.hpp"
#include "bindings/encoded.hpp"
#include "bindings/encoding.hpp"
#include "bindings/event_array.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using encode::PointEncoder;
using encode::PointWindow;

void check_inside(Span<const Event> events, encode::Sensor sensor) {
    for (size_t i = 0; i < events.size; ++i) {
        if (events[i].x < sensor.width && events[i].y < sensor.height && events[i].p <= 1) continue;
        throw Error(ErrorKind::recording, "event is outside the sensor", "event " + std::to_string(i),
                    "(" + std::to_string(events[i].x) + ", " + std::to_string(events[i].y) + "), p " +
                        std::to_string(events[i].p),
                    std::to_string(sensor.width) + "x" + std::to_string(sensor.height) + ", p 0 or 1");
    }
}

py::tuple encode_points(const py::object& events, const py::object& encoding, std::pair<int32_t, int32_t> size,
                        int64_t number, uint64_t first_event, std::optional<int64_t> t0_us) {
    const EventArray array(events);
    const encode::Sensor sensor{size.first, size.second};
    if (array.span.empty()) throw Error(ErrorKind::usage, "a window without events has no points", "events");
    if (sensor.width < 1 || sensor.height < 1) throw Error(ErrorKind::usage, "sensor has no area", "sensor");
    check_inside(array.span, sensor);
    PointEncoder encoder(point_encoding(encoding));
    PointWindow window;
    const int64_t start = t0_us.value_or(array.span[0].t);
    {
        const py::gil_scoped_release unlocked;
        encoder.encode({array.span, sensor, number, first_event, start}, window);
    }
    return as_tuple(window);
}

py::tuple encode_spikes(const py::object& events, const py::object& encoding, std::pair<int32_t, int32_t> size,
                        int64_t number, int64_t t0_us) {
    const EventArray array(events);
    const encode::Sensor sensor{size.first, size.second};
    if (sensor.width < 1 || sensor.height < 1 || sensor.width > 65536 || sensor.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor");
    encode::SpikeEncoder encoder(spike_encoding(encoding));
    const int64_t hop_us = encoder.encoding().hop_steps * encoder.encoding().grid.bin_us;
    constexpr int64_t kLimit = int64_t{1} << 60;  // of times
    if (number < 0 || number > kLimit / hop_us || t0_us <= -kLimit || t0_us >= kLimit)
        throw Error(ErrorKind::usage, "not a window of a stream", "number, t0_us",
                    std::to_string(number) + ", " + std::to_string(t0_us));
    check_inside(array.span, sensor);
    encode::SpikeWindow window;
    {
        const py::gil_scoped_release unlocked;
        encoder.encode({array.span, sensor, number, 0, t0_us}, window);
    }
    return as_tuple(window);
}

using Coordinates = py::array_t<int32_t, py::array::c_style>;

PointWindow placed(const Coordinates& coordinates, const encode::PointEncoding& encoding) {
    if (coordinates.ndim() != 2 || coordinates.shape(0) != encoding.points || coordinates.shape(1) != 4)
        throw Error(ErrorKind::usage, "coordinates have another shape", "coordinates", "",
                    "[" + std::to_string(encoding.points) + ", 4]");
    PointWindow window;
    window.coordinates.assign(coordinates.data(), coordinates.data() + coordinates.size());
    for (size_t i = 0; i < window.coordinates.size(); ++i)
        if (i % 4 != 3 && (window.coordinates[i] < 0 || window.coordinates[i] >= encode::kGrid))
            throw Error(ErrorKind::usage, "coordinate is off the grid", "coordinates, row " + std::to_string(i / 4),
                        std::to_string(window.coordinates[i]), "0 to 16383");
    return window;
}

py::tuple group_points(const Coordinates& coordinates, const py::object& encoding, int64_t number) {
    PointEncoder encoder(point_encoding(encoding));
    PointWindow window = placed(coordinates, encoder.encoding());
    window.number = number;
    {
        const py::gil_scoped_release unlocked;
        encoder.group(window);
    }
    return as_tuple(window);
}

py::array_t<int32_t> farthest_points(const Coordinates& coordinates, const py::object& encoding) {
    PointEncoder encoder(point_encoding(encoding));
    PointWindow window = placed(coordinates, encoder.encoding());
    encoder.farthest_points(window);
    return values(window.centroids);
}

py::array_t<int32_t> nearest_neighbours(const Coordinates& coordinates, const Coordinates& centroids,
                                        const py::object& encoding) {
    PointEncoder encoder(point_encoding(encoding));
    PointWindow window = placed(coordinates, encoder.encoding());
    window.centroids.assign(centroids.data(), centroids.data() + centroids.size());
    for (const int32_t c : window.centroids)
        if (c < 0 || c >= encoder.encoding().points)
            throw Error(ErrorKind::usage, "centroid is not a point", "centroids", std::to_string(c),
                        "0 to " + std::to_string(encoder.encoding().points - 1));
    encoder.nearest_neighbours(window);
    return matrix(window.members, centroids.size(), encoder.encoding().neighbours);
}

}  // namespace

void bind_encode(py::module_& m) {
    py::module_ room =
        m.def_submodule("encode", "Points and spikes (edgesnn/encode/points.py and spikes.py are the readable forms).");
    room.def("encode_points", &encode_points, py::arg("events"), py::arg("encoding"), py::arg("sensor"),
             py::arg("number"), py::arg("first_event"), py::arg("t0_us"));
    room.def("encode_spikes", &encode_spikes, py::arg("events"), py::arg("encoding"), py::arg("sensor"),
             py::arg("number"), py::arg("t0_us"));
    room.def("group_points", &group_points, py::arg("coordinates"), py::arg("encoding"), py::arg("number"));
    room.def("farthest_points", &farthest_points, py::arg("coordinates"), py::arg("encoding"));
    room.def("nearest_neighbours", &nearest_neighbours, py::arg("coordinates"), py::arg("centroids"),
             py::arg("encoding"));
    py::class_<PyArrayEncoder>(room, "ArrayEncoder")
        .def(py::init<const std::string&, const encode::ArrayParameters&, std::pair<int32_t, int32_t>>(),
             py::arg("name"), py::arg("parameters"), py::arg("sensor"))
        .def_property_readonly("shape", &PyArrayEncoder::shape)
        .def_property_readonly("dtype", &PyArrayEncoder::dtype)
        .def("encode", &PyArrayEncoder::encode, py::arg("events"), py::arg("t0_us"), py::arg("t1_us"),
             py::arg("first_event"), py::arg("out"));
    py::class_<PyArrayStream>(room, "ArrayStream")
        .def(py::init<const std::string&, const encode::ArrayParameters&, std::pair<int32_t, int32_t>, int64_t, int64_t,
                      bool>(),
             py::arg("name"), py::arg("parameters"), py::arg("sensor"), py::arg("length"), py::arg("hop"),
             py::arg("by_count"))
        .def("push", &PyArrayStream::push, py::arg("events"), py::arg("t_end_us"))
        .def("poll", &PyArrayStream::poll)
        .def("finish", &PyArrayStream::finish)
        .def("counters", &PyArrayStream::counters)
        .def("save", &PyArrayStream::save)
        .def("load", &PyArrayStream::load, py::arg("state"));
}

}  // namespace edgesnn::bindings
