// _native.events.Aedat4Packets: the packets of an AEDAT4 file or connection, after decompression.
#include "events/decode/aedat4.hpp"

#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/buffers.hpp"
#include "bindings/decoding.hpp"
#include "bindings/event_memory.hpp"

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
    // unpack: of zstd, (buffer, most) -> the content of a whole frame, None where it is another one.
    void set_streams(std::vector<int32_t> numbers, int32_t events, int32_t triggers, const std::string& compression,
                     const py::object& unpack) {
        streams_ = {std::move(numbers), events, triggers, Aedat4Packets::Packing::none};
        if (compression == "lz4") streams_.packing = Aedat4Packets::Packing::lz4;
        if (compression != "zstd") return;
        streams_.packing = Aedat4Packets::Packing::zstd;
        streams_.unpack_zstd = [unpack](Span<const uint8_t> bytes, size_t most, const Aedat4Packets::Feed& feed) {
            const py::gil_scoped_acquire locked;
            const py::object content =
                unpack(py::memoryview::from_memory(bytes.data, static_cast<py::ssize_t>(bytes.size)), most);
            if (content.is_none()) return false;
            const ByteView view(content);
            const py::gil_scoped_release unlocked;
            feed(view.bytes());
            return true;
        };
    }
    // (bytes taken, whether what waits is to be taken, error)
    py::tuple run(const py::object& buffer, int64_t offset, int64_t end) {
        const ByteView view(buffer);
        Status status;
        size_t used = 0;
        {
            py::gil_scoped_release unlocked;
            used = packets_.run(streams_, view.bytes(), offset, end, out_, status);
        }
        return py::make_tuple(used, packets_.odd(), error(status));
    }
    py::bytes take_pending() {
        const std::vector<uint8_t> bytes = packets_.take_pending();
        return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    py::tuple unfinished() const { return py::make_tuple(packets_.unfinished_at(), packets_.unfinished()); }
    int64_t lacks() const noexcept { return packets_.lacks(streams_); }
    py::dict save() const {
        StateWriter writer("decoder");
        packets_.save(writer);
        return to_dict(writer.tensors());
    }
    void load(const py::dict& arrays) {
        const StateTensors tensors = from_dict(arrays);
        packets_.load(StateReader(tensors, "decoder"));
    }
    // (whether it was unpacked, error)
    py::tuple unpack(const py::object& buffer) {
        const ByteView view(buffer);
        Status status;
        bool unpacked = false;
        {
            py::gil_scoped_release unlocked;
            unpacked = packets_.unpack(streams_, view.bytes(), out_, status);
        }
        return py::make_tuple(unpacked, error(status));
    }
    py::object end() { return error(packets_.end(out_)); }
    py::object cut(int64_t offset, int64_t have, const std::string& what) {
        return error(packets_.cut(offset, have, what));
    }
    py::object refuse(int64_t offset, const std::string& what) { return error(packets_.refuse(offset, what)); }
    py::object finish() { return error(packets_.finish(out_)); }
    size_t waiting() const noexcept { return out_.size(); }
    py::array take() { return event_array(std::exchange(out_, EventMemory::shared().take())); }
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
    Aedat4Packets::Streams streams_;
    std::vector<Event> out_;
};

py::tuple header(const py::object& buffer) {
    const ByteView view(buffer);
    const events::Aedat4Header found = events::read_aedat4_header(view.bytes());
    return py::make_tuple(found.compression, found.table_position, py::bytes(found.info));
}

// The content of a whole LZ4 frame of at most `most` bytes; None: it is left to the package lz4.
py::object lz4_frame(const py::object& buffer, size_t most) {
    const ByteView view(buffer);
    events::Lz4Frame frame;
    if (!frame.unpack(view.bytes(), most)) return py::none();
    return py::bytes(reinterpret_cast<const char*>(frame.content().data), frame.content().size);
}

}  // namespace

void bind_aedat4(py::module_& room) {
    room.def("aedat4_header", &header, py::arg("buffer"));
    room.def("lz4_frame", &lz4_frame, py::arg("buffer"), py::arg("most"));
    py::class_<PyAedat4Packets>(room, "Aedat4Packets")
        .def(py::init<int32_t, int32_t, bool, std::string>(), py::arg("width"), py::arg("height"), py::arg("strict"),
             py::arg("where"))
        .def("begin", &PyAedat4Packets::begin, py::arg("triggers"), py::arg("offset"))
        .def("feed", &PyAedat4Packets::feed, py::arg("buffer"))
        .def("end", &PyAedat4Packets::end)
        .def("set_streams", &PyAedat4Packets::set_streams, py::arg("numbers"), py::arg("events"), py::arg("triggers"),
             py::arg("compression"), py::arg("unpack"))
        .def("run", &PyAedat4Packets::run, py::arg("buffer"), py::arg("offset"), py::arg("end"))
        .def("take_pending", &PyAedat4Packets::take_pending)
        .def("unfinished", &PyAedat4Packets::unfinished)
        .def("lacks", &PyAedat4Packets::lacks)
        .def("save", &PyAedat4Packets::save)
        .def("load", &PyAedat4Packets::load, py::arg("arrays"))
        .def("unpack", &PyAedat4Packets::unpack, py::arg("buffer"))
        .def("cut", &PyAedat4Packets::cut, py::arg("offset"), py::arg("have"), py::arg("what"))
        .def("refuse", &PyAedat4Packets::refuse, py::arg("offset"), py::arg("what"))
        .def("finish", &PyAedat4Packets::finish)
        .def_property_readonly("waiting", &PyAedat4Packets::waiting)
        .def("take", &PyAedat4Packets::take)
        .def("triggers", &PyAedat4Packets::triggers)
        .def_property_readonly("t_end_us", &PyAedat4Packets::t_end_us)
        .def_property_readonly("counters", &PyAedat4Packets::counters);
}

}  // namespace edgesnn::bindings
