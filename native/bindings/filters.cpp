// _native.events.FilterChain: edgesnn.events.filters.Chain is the public door.
#include "bindings/filters.hpp"

#include <optional>

#include "base/event_checks.hpp"
#include "bindings/buffers.hpp"
#include "bindings/event_array.hpp"
#include "bindings/event_memory.hpp"
#include "bindings/turn.hpp"
#include "events/filters/chain.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

class PyFilterChain {
  public:
    PyFilterChain(const py::sequence& filters, std::pair<int32_t, int32_t> sensor)
        : sensor_{sensor.first, sensor.second}, chain_(filter_list(filters), sensor_) {}

    py::array push(const py::object& events, std::optional<int64_t> t_end_us) {
        const Turn turn(busy_, "chain of filters");
        const EventArray array(events);
        std::vector<Event> out;
        size_t passed = 0;
        {
            const py::gil_scoped_release unlocked;
            const bool rise = check_events(array.span, sensor_.width, sensor_.height);
            out = EventMemory::shared().take(array.span.size);
            passed = rise ? chain_.push_rising(array.span, out.data()) : chain_.push(array.span, out.data());
            if (t_end_us) chain_.advance(*t_end_us);
        }
        return event_array(std::move(out), passed);
    }
    std::pair<int32_t, int32_t> sensor() const { return {chain_.area().width, chain_.area().height}; }
    CounterMap counters() {
        const Turn turn(busy_, "chain of filters");
        CounterMap counters;
        chain_.count(counters);
        return counters;
    }
    py::dict save() {
        const Turn turn(busy_, "chain of filters");
        StateWriter writer(chain_.section());
        chain_.save(writer);
        return to_dict(writer.tensors());
    }
    void load(const py::dict& state) {
        const Turn turn(busy_, "chain of filters");
        const StateTensors tensors = from_dict(state);
        StateWriter before(chain_.section());
        chain_.save(before);
        try {
            chain_.load(StateReader(tensors, chain_.section()));
        } catch (...) {
            chain_.load(StateReader(before.tensors(), chain_.section()));
            throw;
        }
    }

  private:
    events::Area sensor_;
    events::FilterChain chain_;
    Turn::Flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace

void bind_filters(py::module_& room) {
    py::class_<PyFilterChain>(room, "FilterChain")
        .def(py::init<const py::sequence&, std::pair<int32_t, int32_t>>(), py::arg("filters"), py::arg("sensor"))
        .def("push", &PyFilterChain::push, py::arg("events"), py::arg("t_end_us") = py::none())
        .def_property_readonly("sensor", &PyFilterChain::sensor)
        .def("counters", &PyFilterChain::counters)
        .def("save", &PyFilterChain::save)
        .def("load", &PyFilterChain::load, py::arg("state"));
}

}  // namespace edgesnn::bindings
