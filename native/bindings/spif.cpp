// _native.events.Spif: the datagrams of SPIF.
#include "events/decode/spif.hpp"

#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/buffers.hpp"
#include "bindings/decoding.hpp"
#include "bindings/event_memory.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

// The events gather until take().
class PySpif {
  public:
    PySpif(int32_t width, int32_t height) : decoder_(width, height) {}

    void feed(const py::object& datagram, int64_t now_us) {
        const ByteView view(datagram);
        decoder_.feed(view.bytes(), now_us, out_);
    }
    py::array take() { return event_array(std::exchange(out_, EventMemory::shared().take())); }
    py::dict counters() const {
        py::dict counts;
        counts["out_of_range"] = decoder_.counters().out_of_range;
        counts["truncated_bytes"] = decoder_.counters().truncated_bytes;
        return counts;
    }

  private:
    events::SpifDecoder decoder_;
    std::vector<Event> out_;
};

}  // namespace

void bind_spif(py::module_& room) {
    py::class_<PySpif>(room, "Spif")
        .def(py::init<int32_t, int32_t>(), py::arg("width"), py::arg("height"))
        .def("feed", &PySpif::feed, py::arg("datagram"), py::arg("now_us"))
        .def("take", &PySpif::take)
        .def_property_readonly("counters", &PySpif::counters);
}

}  // namespace edgesnn::bindings
