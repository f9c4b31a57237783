// _native.events.FilterChain: edgesnn.events.filters.Chain is the public door.
#include "bindings/filters.hpp"

#include <algorithm>
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
        std::vector<Event> out = EventMemory::shared().take();
        {
            const py::gil_scoped_release unlocked;
            check(array.span);
            chain_.push(array.span, out);
            if (t_end_us) chain_.advance(*t_end_us);
        }
        return event_array(std::move(out));
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
    static uint64_t distance(int64_t t_us) noexcept { return static_cast<uint64_t>(t_us) + (events::kTimeLimit - 1); }
    bool possible(const Event& event) const noexcept {
        return is_inside(event, sensor_.width, sensor_.height) & (event.t < events::kTimeLimit) &
               (event.t > -events::kTimeLimit);
    }
    void check(Span<const Event> events) const {
        constexpr uint64_t kFar = 2 * static_cast<uint64_t>(events::kTimeLimit) - 1;
        uint64_t farthest = 0;
        for (const Event& event : events) farthest = std::max(farthest, distance(event.t));
        if (farthest < kFar && all_inside(events, sensor_.width, sensor_.height)) return;
        size_t at = 0;
        while (possible(events[at])) ++at;
        const Event& event = events[at];
        throw Error(ErrorKind::recording, "event is impossible", "event " + std::to_string(at),
                    "t=" + std::to_string(event.t) + " x=" + std::to_string(event.x) + " y=" + std::to_string(event.y) +
                        " p=" + std::to_string(event.p),
                    "x and y inside " + std::to_string(sensor_.width) + "x" + std::to_string(sensor_.height) +
                        ", p 0 or 1, t within 2^60");
    }

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
