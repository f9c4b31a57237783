// _native.pipeline: the window cutter, decide, and the chain of all stages. edgesnn/pipeline is the public door.
#include <memory>
#include <optional>
#include <string>

#include "bindings/bindings.hpp"
#include "bindings/encoding.hpp"
#include "bindings/event_array.hpp"
#include "bindings/filters.hpp"
#include "bindings/python_window_model.hpp"
#include "bindings/turn.hpp"
#include "pipeline/chain.hpp"
#include "pipeline/executor_model.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using pipeline::Chain;
using pipeline::Result;

pipeline::Readout readout(const py::object& source) {
    pipeline::Readout out;
    out.classes = static_cast<int32_t>(py::len(source.attr("labels")));
    out.temperature = source.attr("temperature").cast<float>();
    out.rejection = source.attr("rejection").cast<float>();
    out.onset_confidence = source.attr("onset_confidence").cast<float>();
    out.onset_windows = source.attr("onset_windows").cast<int32_t>();
    out.offset_confidence = source.attr("offset_confidence").cast<float>();
    out.offset_windows = source.attr("offset_windows").cast<int32_t>();
    if (const py::object exit = source.attr("early_exit"); !exit.is_none()) {
        out.exit_confidence = exit.attr("confidence").cast<float>();
        out.exit_steps = exit.attr("min_steps").cast<int32_t>();
    }
    return out;
}

const char* name_of(pipeline::Verdict verdict) noexcept {
    switch (verdict) {
        case pipeline::Verdict::idle:
            return "idle";
        case pipeline::Verdict::none:
            return "none";
        case pipeline::Verdict::label:
            break;
    }
    return "label";
}

// (decision, active class or None, probabilities)
py::tuple decided(const pipeline::Decision& decision) {
    const py::object active = decision.active < 0 ? py::object(py::none()) : py::object(py::int_(decision.active));
    return py::make_tuple(name_of(decision.verdict), active, decision.probabilities);
}

class PyDecide {
  public:
    explicit PyDecide(const py::object& source) : decide_(readout(source)) {}
    py::tuple push(const std::optional<py::array_t<float, py::array::c_style | py::array::forcecast>>& scores) {
        Span<const float> span;
        if (scores) span = {scores->data(), static_cast<size_t>(scores->size())};
        pipeline::Decision decision;
        if (const Status status = decide_.push(span, decision); !status.ok()) raise(status);
        return decided(decision);
    }

  private:
    pipeline::Decide decide_;
};

// For tests of the windows alone: the cutter under edgesnn's event arrays.
class PyWindowCutter {
  public:
    PyWindowCutter(int64_t length, int64_t hop, bool by_count, size_t max_events, int64_t max_silent, int64_t bin_us,
                   bool nearest, bool from_zero)
        : cutter_({by_count, length, hop, max_events, max_silent, 65536, 65536, {bin_us, nearest}, from_zero}) {}

    // The windows that the packet completes, at most `limit`: [(number, t0_us, t1_us, first_event, dropped, events)].
    // What is left of the packet when the limit is reached must be pushed again: (windows, events taken).
    py::tuple push(const py::object& events, std::optional<int64_t> t_end_us, size_t limit) {
        const EventArray array(events);
        py::list windows;
        size_t taken = 0;
        bool advanced = false;
        events::Window window;
        while (windows.size() < limit) {
            if (cutter_.close(window)) {
                windows.append(describe(window));
            } else if (taken < array.span.size) {
                taken += cutter_.push({array.span.data + taken, array.span.size - taken});
            } else if (t_end_us && !advanced) {
                cutter_.advance(*t_end_us);
                advanced = true;
            } else {
                break;
            }
        }
        return py::make_tuple(windows, taken);
    }
    void finish() { cutter_.finish(); }
    CounterMap counters() const {
        CounterMap counters;
        cutter_.count(counters);
        counters["processed"] = cutter_.processed();
        counters["pending"] = cutter_.pending();
        return counters;
    }
    py::dict save() const {
        StateWriter writer(cutter_.section());
        cutter_.save(writer);
        return to_dict(writer.tensors());
    }
    void load(const py::dict& state) { cutter_.load(StateReader(from_dict(state), cutter_.section())); }

  private:
    static py::tuple describe(const events::Window& window) {
        const py::dtype dtype = py::module_::import("edgesnn.events.types").attr("EVENT").cast<py::dtype>();
        const py::array events(dtype, static_cast<py::ssize_t>(window.events.size), window.events.data);
        return py::make_tuple(window.number, window.t0_us, window.t1_us, window.first_event, window.dropped, events);
    }
    events::WindowCutter cutter_;
};

class PyChain {
  public:
    PyChain(const py::object& encoding, std::pair<int32_t, int32_t> sensor, const py::object& readout_source,
            const py::object& model, bool strict, const std::string& format, const std::string& where, int64_t offset,
            const std::string& variant, int64_t max_silent, int64_t window_events, int64_t hop_events, bool run_idle,
            const py::sequence& filters) {
        pipeline::ChainOptions options;
        options.windows = window_options(encoding.attr("grid"));
        options.windows.max_silent = max_silent;
        if (window_events != 0) {
            options.windows.by_count = true;
            options.windows.length = window_events;
            options.windows.hop = hop_events;
        }
        options.min_events = encoding.attr("min_events").cast<int64_t>();
        options.run_idle = run_idle;
        options.sensor = {sensor.first, sensor.second};
        options.filters = filter_list(filters);
        options.readout = readout(readout_source);
        options.strict = strict;
        std::unique_ptr<events::Decoder> decoder;
        if (!format.empty()) {
            events::DecoderOptions decoding{
                sensor.first, sensor.second, strict ? events::OnCorrupt::strict : events::OnCorrupt::skip,
                offset,       where,         variant};
            decoder = events::make_decoder(format, decoding);
        }
        chain_ = std::make_unique<Chain>(options, std::move(decoder), make_encoder(encoding),
                                         window_model(model, options.readout));
    }

    void push_bytes(const py::buffer& buffer, std::optional<int64_t> stamp_ns) {
        const Turn turn(busy_, "pipeline");
        const py::buffer_info info = buffer.request();
        if (info.ndim > 1 || (info.ndim == 1 && info.strides[0] != info.itemsize))
            throw Error(ErrorKind::usage, "bytes are not contiguous", "push");
        const Span<const uint8_t> bytes{static_cast<const uint8_t*>(info.ptr),
                                        static_cast<size_t>(info.size * info.itemsize)};
        chain_->input().push_bytes(bytes, stamp(stamp_ns));
    }
    void push_events(const py::object& events, std::optional<int64_t> t_end_us, std::optional<int64_t> stamp_ns) {
        const Turn turn(busy_, "pipeline");
        const EventArray array(events);
        chain_->input().push_events(array.span, t_end_us.value_or(events::kNoTime), stamp(stamp_ns));
    }
    void finish() {
        const Turn turn(busy_, "pipeline");
        chain_->input().finish();
    }
    py::object poll() {
        const Turn turn(busy_, "pipeline");
        bool ready = false;
        Status status;
        {
            const py::gil_scoped_release unlocked;
            status = chain_->poll(result_, ready);
        }
        if (!status.ok()) {
            if (python_model_ != nullptr) python_model_->rethrow();
            raise(status);
        }
        return ready ? describe(result_) : py::object(py::none());
    }
    CounterMap counters() {
        const Turn turn(busy_, "pipeline");
        return chain_->counters();
    }
    py::dict save() {
        const Turn turn(busy_, "pipeline");
        return to_dict(chain_->save());
    }
    void load(const py::dict& state) {
        const Turn turn(busy_, "pipeline");
        chain_->load(from_dict(state));
    }

  private:
    // A model of the native executor, or any object with the methods that PythonWindowModel calls.
    std::unique_ptr<pipeline::WindowModel> window_model(const py::object& model, const pipeline::Readout& decides) {
        if (py::isinstance<executor::Model>(model))
            return pipeline::make_window_model(model.cast<std::shared_ptr<executor::Model>>(), decides);
        auto adapter = std::make_unique<PythonWindowModel>(model);
        python_model_ = adapter.get();
        return adapter;
    }
    static pipeline::Stamp stamp(std::optional<int64_t> stamp_ns) noexcept {
        return {stamp_ns.has_value(), stamp_ns.value_or(0), pipeline::monotonic_ns()};
    }
    static py::object describe(const Result& r) {
        const int64_t arrived_ns = r.stamp.arrived_ns != 0 ? r.stamp.arrived_ns : r.closed_ns;
        const py::object stamp_ns = r.stamp.given ? py::object(py::int_(r.stamp.stamp_ns)) : py::object(py::none());
        return py::make_tuple(
            py::make_tuple(r.number, r.t0_us, r.t1_us, r.events, r.dropped), decided(r.decision),
            py::make_tuple(r.inference.steps, r.inference.spikes, r.inference.synops, r.inference.macs), stamp_ns,
            py::make_tuple(arrived_ns, r.closed_ns, r.began_ns, r.decided_ns));
    }

    std::unique_ptr<Chain> chain_;
    PythonWindowModel* python_model_ = nullptr;  // owned by the chain; null: a native model
    Result result_;
    Turn::Flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace

void bind_pipeline(py::module_& m) {
    py::module_ room = m.def_submodule("pipeline", "The chain from packets to decisions, and its parts.");
    py::class_<PyDecide>(room, "Decide")
        .def(py::init<const py::object&>(), py::arg("readout"))
        .def("push", &PyDecide::push, py::arg("scores"));
    py::class_<PyWindowCutter>(room, "WindowCutter")
        .def(py::init<int64_t, int64_t, bool, size_t, int64_t, int64_t, bool, bool>(), py::arg("length"),
             py::arg("hop"), py::arg("by_count") = false, py::arg("max_events") = events::WindowOptions{}.max_events,
             py::arg("max_silent") = events::kMaxSilent, py::arg("bin_us") = 1, py::arg("nearest") = false,
             py::arg("from_zero") = false)
        .def("push", &PyWindowCutter::push, py::arg("events"), py::arg("t_end_us") = py::none(),
             py::arg("limit") = size_t{1} << 20)
        .def("finish", &PyWindowCutter::finish)
        .def("counters", &PyWindowCutter::counters)
        .def("save", &PyWindowCutter::save)
        .def("load", &PyWindowCutter::load, py::arg("state"));
    py::class_<PyChain>(room, "Chain")
        .def(py::init<const py::object&, std::pair<int32_t, int32_t>, const py::object&, const py::object&, bool,
                      const std::string&, const std::string&, int64_t, const std::string&, int64_t, int64_t, int64_t,
                      bool, const py::sequence&>(),
             py::arg("encoding"), py::arg("sensor"), py::arg("readout"), py::arg("model"), py::arg("strict"),
             py::arg("format") = "", py::arg("where") = "", py::arg("offset") = 0, py::arg("variant") = "",
             py::arg("max_silent") = events::kMaxSilent, py::arg("window_events") = 0, py::arg("hop_events") = 0,
             py::arg("run_idle") = false, py::arg("filters") = py::list())
        .def("push_bytes", &PyChain::push_bytes, py::arg("buffer"), py::arg("stamp_ns") = py::none())
        .def("push_events", &PyChain::push_events, py::arg("events"), py::arg("t_end_us") = py::none(),
             py::arg("stamp_ns") = py::none())
        .def("finish", &PyChain::finish)
        .def("poll", &PyChain::poll)
        .def("counters", &PyChain::counters)
        .def("save", &PyChain::save)
        .def("load", &PyChain::load, py::arg("state"));
}

}  // namespace edgesnn::bindings
