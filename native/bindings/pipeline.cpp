// _native.pipeline: the window cutter, decide, and the chain of all stages. edgesnn/pipeline is the public door.
#include <optional>
#include <string>

#include "bindings/python_chain.hpp"
#include "bindings/python_threaded_chain.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

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
        .def("lose", &PyChain::lose, py::arg("events"))
        .def("finish", &PyChain::finish)
        .def("poll", &PyChain::poll)
        .def("counters", &PyChain::counters)
        .def("save", &PyChain::save)
        .def("load", &PyChain::load, py::arg("state"))
        .def("reset", &PyChain::reset);
    py::class_<PyThreadedChain>(room, "ThreadedChain")
        .def(py::init<PyChain&, const std::string&, size_t, int64_t>(), py::arg("chain"), py::arg("when_full"),
             py::arg("events"), py::arg("keep_every"))
        .def("read", &PyThreadedChain::read, py::arg("fd"), py::arg("last") = true, py::arg("where") = "")
        .def_property_readonly("reading", &PyThreadedChain::reading)
        .def_property_readonly("ended", &PyThreadedChain::ended)
        .def_property_readonly("finished", &PyThreadedChain::finished)
        .def("push_paced", &PyThreadedChain::push_paced, py::arg("events"), py::arg("schedule"))
        .def("push_bytes", &PyThreadedChain::push_bytes, py::arg("buffer"), py::arg("stamp_ns") = py::none())
        .def("push_events", &PyThreadedChain::push_events, py::arg("events"), py::arg("t_end_us") = py::none(),
             py::arg("stamp_ns") = py::none())
        .def("finish", &PyThreadedChain::finish)
        .def("poll", &PyThreadedChain::poll, py::arg("wait_ms") = 0)
        .def("counters", &PyThreadedChain::counters)
        .def("save", &PyThreadedChain::save)
        .def("load", &PyThreadedChain::load, py::arg("state"))
        .def("reset", &PyThreadedChain::reset)
        .def("tap", &PyThreadedChain::tap, py::arg("most"))
        .def_property_readonly("tap_full", &PyThreadedChain::tap_full)
        .def("take_tapped", &PyThreadedChain::take_tapped)
        .def("save_behind", &PyThreadedChain::save_behind)
        .def("close", &PyThreadedChain::close);
}

}  // namespace edgesnn::bindings
