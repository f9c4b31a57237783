// _native.events: the incremental decoders, and the writers whose speed matters.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "bindings/bindings.hpp"
#include "bindings/buffers.hpp"
#include "bindings/decoding.hpp"
#include "bindings/event_array.hpp"
#include "bindings/event_memory.hpp"
#include "events/decode/decoder.hpp"
#include "events/encode/csv.hpp"
#include "events/encode/encoder.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

template <typename T>
py::array owning_array(std::vector<T>&& records, size_t size) {
    auto owner = std::make_unique<std::vector<T>>(std::move(records));
    const auto count = static_cast<py::ssize_t>(size);
    const void* data = owner->data();
    const py::capsule base(owner.release(), [](void* p) {
        const std::unique_ptr<std::vector<T>> last(static_cast<std::vector<T>*>(p));
        if constexpr (std::is_same_v<T, Event>) EventMemory::shared().give(std::move(*last));
    });
    return py::array(record_dtype<T>(), {count}, {static_cast<py::ssize_t>(sizeof(T))}, data, base);
}

// Python's face of one events::Decoder.
class PyDecoder {
  public:
    PyDecoder(const std::string& format, int32_t width, int32_t height, bool strict, int64_t offset, std::string where,
              std::string variant)
        : decoder_(
              events::make_decoder(format, {width, height, strict ? events::OnCorrupt::strict : events::OnCorrupt::skip,
                                            offset, std::move(where), std::move(variant)})) {}

    // (events, t_end_us or None, error or None): the events before an error are not lost.
    py::tuple feed(const py::object& buffer) {
        const ByteView view(buffer);
        std::vector<Event> out = EventMemory::shared().take();
        Status status;
        {
            py::gil_scoped_release unlocked;
            const size_t bytes = view.bytes().size;
            out.reserve(std::min(kMostRoom, static_cast<size_t>(static_cast<double>(bytes) * events_per_byte_)));
            status = decoder_->feed(view.bytes(), out);
            if (bytes != 0) events_per_byte_ = 1.125 * static_cast<double>(out.size()) / static_cast<double>(bytes);
        }
        return result(std::move(out), status);
    }
    py::tuple finish() {
        std::vector<Event> out;
        const Status status = decoder_->finish(out);
        return result(std::move(out), status);
    }
    void lost() { decoder_->lost(); }
    py::array triggers() {
        std::vector<Trigger> out;
        decoder_->take_triggers(out);
        return trigger_array(std::move(out));
    }
    py::object t_end_us() const { return time_or_none(decoder_->t_end_us()); }
    py::dict counters() const { return counter_dict(decoder_->counters()); }
    py::dict save() const {
        StateWriter writer("decoder");
        decoder_->save(writer);
        return to_dict(writer.tensors());
    }
    void load(const py::dict& arrays) {
        const StateTensors tensors = from_dict(arrays);
        decoder_->load(StateReader(tensors, "decoder"));
    }

  private:
    py::tuple result(std::vector<Event>&& out, const Status& status) const {
        const py::object error = status.ok() ? py::object(py::none()) : to_exception(status);
        return py::make_tuple(event_array(std::move(out)), t_end_us(), error);
    }

    static constexpr size_t kMostRoom = size_t{1} << 20;

    std::unique_ptr<events::Decoder> decoder_;
    double events_per_byte_ = 0;  // of the last feed and a little more: room for the next one's
};

// Python's face of one events::Encoder.
class PyEncoder {
  public:
    PyEncoder(const std::string& format, int32_t width, int32_t height, std::string variant)
        : encoder_(events::make_encoder(format, {width, height, std::move(variant)})) {}

    // An error leaves everything as it was.
    py::bytes encode(const py::object& event_records, const py::object& trigger_records,
                     std::optional<int64_t> t_end_us) {
        const EventArray some(event_records);
        const TriggerArray edges(trigger_records);
        std::vector<uint8_t> bytes;
        {
            py::gil_scoped_release unlocked;
            std::unique_ptr<events::Encoder> next = encoder_->clone();
            events::WordWriter out(bytes);
            next->encode(some.span, edges.span, t_end_us.value_or(events::kNoTime), out);
            encoder_ = std::move(next);
        }
        return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

  private:
    std::unique_ptr<events::Encoder> encoder_;
};

py::bytes encode_csv(const py::object& array, const std::string& columns) {
    const EventArray events(array);
    const events::CsvColumns order = events::CsvColumns::parse(columns);
    std::string text;
    {
        py::gil_scoped_release unlocked;
        events::write_csv(events.span, order, text);
    }
    return py::bytes(text);
}

}  // namespace

py::array event_array(std::vector<Event>&& events) {
    const size_t count = events.size();
    return owning_array(std::move(events), count);
}
py::array event_array(std::vector<Event>&& events, size_t count) {
    return owning_array(std::move(events), count);
}
py::array trigger_array(std::vector<Trigger>&& triggers) {
    const size_t count = triggers.size();
    return owning_array(std::move(triggers), count);
}
py::object time_or_none(int64_t t_us) {
    return t_us == events::kNoTime ? py::object(py::none()) : py::object(py::int_(t_us));
}
py::dict counter_dict(const events::Counters& c) {
    py::dict counts;
    counts["bad_words"] = c.bad_words;
    counts["out_of_range"] = c.out_of_range;
    counts["unplaced_events"] = c.unplaced_events;
    counts["time_resyncs"] = c.time_resyncs;
    counts["time_backward"] = c.time_backward;
    counts["truncated_bytes"] = c.truncated_bytes;
    counts["lost_packets"] = c.lost_packets;
    return counts;
}

void bind_events(py::module_& m) {
    py::module_ room = m.def_submodule("events", "Incremental decoders of event streams.");
    py::class_<PyDecoder>(room, "Decoder")
        .def(py::init<const std::string&, int32_t, int32_t, bool, int64_t, std::string, std::string>(),
             py::arg("format"), py::arg("width"), py::arg("height"), py::arg("strict"), py::arg("offset"),
             py::arg("where"), py::arg("variant") = "")
        .def("feed", &PyDecoder::feed, py::arg("buffer"))
        .def("lost", &PyDecoder::lost)
        .def("finish", &PyDecoder::finish)
        .def("triggers", &PyDecoder::triggers)
        .def_property_readonly("t_end_us", &PyDecoder::t_end_us)
        .def_property_readonly("counters", &PyDecoder::counters)
        .def("save", &PyDecoder::save)
        .def("load", &PyDecoder::load, py::arg("arrays"));
    bind_aedat4(room);
    bind_rows(room);
    bind_spif(room);
    bind_filters(room);
    py::class_<PyEncoder>(room, "Encoder")
        .def(py::init<const std::string&, int32_t, int32_t, std::string>(), py::arg("format"), py::arg("width"),
             py::arg("height"), py::arg("variant") = "")
        .def("encode", &PyEncoder::encode, py::arg("events"), py::arg("triggers"), py::arg("t_end_us"));
    room.def("encode_csv", &encode_csv, py::arg("events"), py::arg("columns"));
}

}  // namespace edgesnn::bindings
