// _native.events.Aedat4Packets: the packets of an AEDAT4 file or connection, after decompression.
#include "events/decode/aedat4.hpp"

#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/buffers.hpp"
#include "bindings/decoding.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using events::Aedat4Packets;

// Each step returns None or the error; the events gather until take().
class PyAedat4Packets {
  public:
    PyAedat4Packets(int32_t width, int32_t height, bool strict, std::string where)
        : packets_(
              {width, height, strict ? events::OnCorrupt::strict : events::OnCorrupt::skip, 0, std::move(where), {}}) {}

    void begin(bool triggers, int64_t offset) {
        packets_.begin(triggers ? Aedat4Packets::Kind::triggers : Aedat4Packets::Kind::events, offset);
    }
    py::object feed(const py::object& buffer) {
        const ByteView view(buffer);
        Status status;
        {
            py::gil_scoped_release unlocked;
            status = packets_.feed(view.bytes(), out_);
        }
        return error(status);
    }
    py::object end() { return error(packets_.end(out_)); }
    // A whole packet: begin, feed, end.
    py::object packet(bool triggers, int64_t offset, const py::object& buffer) {
        begin(triggers, offset);
        const py::object failed = feed(buffer);
        return failed.is_none() ? end() : failed;
    }
    py::object cut(int64_t offset, int64_t have, const std::string& what) {
        return error(packets_.cut(offset, have, what));
    }
    py::object refuse(int64_t offset, const std::string& what) { return error(packets_.refuse(offset, what)); }
    py::object finish() { return error(packets_.finish(out_)); }
    py::array take() { return event_array(std::exchange(out_, {})); }
    py::array triggers() {
        std::vector<Trigger> found;
        packets_.take_triggers(found);
        return trigger_array(std::move(found));
    }
    py::object t_end_us() const { return time_or_none(packets_.t_end_us()); }
    py::dict counters() const { return counter_dict(packets_.counters()); }

  private:
    static py::object error(const Status& status) {
        return status.ok() ? py::object(py::none()) : to_exception(status);
    }

    Aedat4Packets packets_;
    std::vector<Event> out_;
};

py::tuple header(const py::object& buffer) {
    const ByteView view(buffer);
    const events::Aedat4Header found = events::read_aedat4_header(view.bytes());
    return py::make_tuple(found.compression, found.table_position, py::bytes(found.info));
}

}  // namespace

void bind_aedat4(py::module_& room) {
    room.def("aedat4_header", &header, py::arg("buffer"));
    py::class_<PyAedat4Packets>(room, "Aedat4Packets")
        .def(py::init<int32_t, int32_t, bool, std::string>(), py::arg("width"), py::arg("height"), py::arg("strict"),
             py::arg("where"))
        .def("begin", &PyAedat4Packets::begin, py::arg("triggers"), py::arg("offset"))
        .def("feed", &PyAedat4Packets::feed, py::arg("buffer"))
        .def("end", &PyAedat4Packets::end)
        .def("packet", &PyAedat4Packets::packet, py::arg("triggers"), py::arg("offset"), py::arg("buffer"))
        .def("cut", &PyAedat4Packets::cut, py::arg("offset"), py::arg("have"), py::arg("what"))
        .def("refuse", &PyAedat4Packets::refuse, py::arg("offset"), py::arg("what"))
        .def("finish", &PyAedat4Packets::finish)
        .def("take", &PyAedat4Packets::take)
        .def("triggers", &PyAedat4Packets::triggers)
        .def_property_readonly("t_end_us", &PyAedat4Packets::t_end_us)
        .def_property_readonly("counters", &PyAedat4Packets::counters);
}

}  // namespace edgesnn::bindings
