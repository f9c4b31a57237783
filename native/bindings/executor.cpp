// _native.executor: models and sessions. edgesnn/runtime/backends/native.py is the public door; arguments of dense
// inputs were checked there.
#include <algorithm>

#include "bindings/executor_input.hpp"
#include "bindings/executor_model.hpp"
#include "bindings/executor_output.hpp"
#include "bindings/point_window.hpp"
#include "executor/session.hpp"
#include "executor/window_check.hpp"
#include "kernels/kernels.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using executor::Dtype;
using executor::Kind;
using executor::Model;
using executor::Session;
using executor::StateView;
using executor::ValueType;

std::shared_ptr<Model> build(const py::dict& source) {
    return std::const_pointer_cast<Model>(Model::build(model_spec(source)));
}

// A copy of numbers that are places in memory: another thread may write into the caller's array while the work goes on.
template <typename Array>
Array own(const Array& array) {
    return array.attr("copy")().template cast<Array>();
}

py::array own_tokens(const Model& model, const py::array& xs) {
    return model.type(0).kind == Kind::token ? own(xs) : xs;
}

// A session and which of its values Python wants to see after each call.
class PySession {
  public:
    PySession(const std::shared_ptr<Model>& model, const std::vector<std::string>& outputs,
              const std::vector<std::string>& recorded, bool account, size_t threads, const std::string& active)
        : takes_lists_(active != "none"),
          counts_(active == "count"),
          recorded_(indices(*model, recorded)),
          values_(indices(*model, outputs)),
          session_(model, recorded_, account, threads) {
        values_.insert(values_.end(), recorded_.begin(), recorded_.end());
    }

    py::list step_points(const py::object& source) {
        return points(source, 1, [this](const auto& window, auto& sink) { session_.step(window, sink); });
    }
    py::list run_points(const py::object& source) {
        const auto steps = static_cast<size_t>(session_.model().spec().input.steps);
        return points(source, steps, [this](const auto& window, auto& sink) { session_.run(window, sink); });
    }
    // By `keep` the outputs of all steps, of the last one, or of none; recorded values are always of all.
    py::list run_array(const py::array& xs, const std::string& keep) {
        const py::array own_xs = own_tokens(session_.model(), xs);
        const executor::ArraySource source = array_source(session_.model(), own_xs);
        return run(source, static_cast<size_t>(xs.shape(0)), keep);
    }
    py::list run_events(const Indices& indices, const Offsets& offsets, const std::string& keep) {
        const Indices own_indices = own(indices);
        const Offsets own_offsets = own(offsets);
        const executor::EventSource source = event_source(session_.model(), own_indices, own_offsets, counts_);
        return run(source, static_cast<size_t>(offsets.size() - 1), keep);
    }

    // One step of a model with one output and no recorded values, from an array, a list that needs no conversion or a
    // token: the output. None, and nothing done, where an argument is anything else.
    py::object quick_step(const py::object& x, const py::object& active, const py::object& out) {
        const Model& model = session_.model();
        if (values_.size() != 1 || x.is_none() == active.is_none()) return py::none();
        if (!out.is_none() && !OneOutput::fits(model.type(values_[0]), out)) return py::none();
        const ValueType& type = model.type(0);
        if (active.is_none()) {
            if (const std::optional<int64_t> token = token_of(model, x)) return quick_token(*token, out);
            if (!is_input(model, x)) return py::none();
            return quick(executor::ArraySource(type, py::reinterpret_borrow<py::array>(x).data()), out);
        }
        if (!takes_lists_) return py::none();
        const ActiveList list = active_list(model, active, counts_, room_);
        if (list.indices == nullptr) return py::none();
        return quick(executor::EventSource(type, list.indices, list.offsets, counts_), out);
    }

    // The same for all steps of `run`: (steps, output), or None where quick_step gives it; also for no steps.
    py::object quick_run(const py::object& xs, const py::object& active, const std::string& keep) {
        const Model& model = session_.model();
        if (values_.size() != 1 || xs.is_none() == active.is_none()) return py::none();
        if (active.is_none()) {
            if (!is_inputs(model, xs)) return py::none();
            const auto array = py::reinterpret_borrow<py::array>(xs);
            return quick_steps(executor::ArraySource(model.type(0), array.data()), array.shape(0), keep);
        }
        if (!takes_lists_ || !py::isinstance<py::tuple>(active) || py::len(active) != 2) return py::none();
        const py::object indices = active[py::int_(0)], offsets = active[py::int_(1)];
        if (!py::isinstance<Indices>(indices) || !py::isinstance<Offsets>(offsets)) return py::none();
        const auto own_indices = own(py::reinterpret_borrow<Indices>(indices));
        const auto own_offsets = own(py::reinterpret_borrow<Offsets>(offsets));
        if (!are_lists(model, own_indices, own_offsets, counts_)) return py::none();
        const executor::EventSource source(model.type(0), own_indices.data(), own_offsets.data(), counts_);
        return quick_steps(source, own_offsets.size() - 1, keep);
    }

    // One step of each session; the arrays of the first one's outputs.
    static py::list step_many(const std::vector<PySession*>& sessions, const py::array& xs) {
        if (sessions.empty()) return py::list();
        const py::array own_xs = own_tokens(sessions[0]->session_.model(), xs);
        const executor::ArraySource source = array_source(sessions[0]->session_.model(), own_xs);
        return step_all(sessions, source, xs.shape(0));
    }
    static py::list step_many_events(const std::vector<PySession*>& sessions, const Indices& indices,
                                     const Offsets& offsets) {
        if (sessions.empty()) return py::list();
        const PySession& first = *sessions[0];
        if (!first.takes_lists_) fail_input("model takes no lists of active inputs", "lists", "arrays");
        const Indices own_indices = own(indices);
        const Offsets own_offsets = own(offsets);
        const executor::EventSource source =
            event_source(first.session_.model(), own_indices, own_offsets, first.counts_);
        return step_all(sessions, source, offsets.size() - 1);
    }

    // (spikes, synaptic operations, multiply-adds) of the last call, by node.
    py::list counters() const {
        py::list rows;
        const auto& counters = session_.counters();
        for (size_t i = 0; i + 1 < counters.size(); ++i)
            rows.append(py::make_tuple(counters[i].spikes, counters[i].synops, counters[i].macs));
        return rows;
    }

    // Writable views by name; `self` keeps the memory alive.
    static py::dict states(const py::object& self) {
        py::dict views;
        for (const StateView& state : self.cast<PySession&>().session_.states()) {
            const Dtype dtype = state.spec->dtype;
            const py::dtype type = dtype == Dtype::f32   ? py::dtype::of<float>()
                                   : dtype == Dtype::i32 ? py::dtype::of<int32_t>()
                                   : dtype == Dtype::u8  ? py::dtype::of<uint8_t>()
                                                         : py::dtype::of<int64_t>();
            const std::vector<py::ssize_t> strides(state.strides.begin(), state.strides.end());
            views[py::str(state.spec->name)] = py::array(type, state.spec->shape, strides, state.data, self);
        }
        return views;
    }

    Session& session() noexcept { return session_; }

  private:
    static std::vector<int> indices(const Model& model, const std::vector<std::string>& names) {
        std::vector<int> values;
        for (const std::string& name : names) {
            values.push_back(model.value(name));
            if (values.back() < 0) throw Error(ErrorKind::usage, "no value of that name", name);
        }
        return values;
    }

    static size_t wanted(const std::string& keep, size_t steps) {
        return keep == "none" ? 0 : keep == "last" ? std::min<size_t>(steps, 1) : steps;
    }

    py::list run(const executor::StepSource& source, size_t steps, const std::string& keep) {
        std::vector<size_t> kept(values_.size() - recorded_.size(), wanted(keep, steps));
        const size_t made = recorded_.empty() ? wanted(keep, steps) : steps;
        kept.resize(values_.size(), steps);
        Arrays arrays(session_.model(), values_, steps, kept);
        {
            const py::gil_scoped_release unlocked;
            session_.run(source, steps, arrays, made);
        }
        return arrays.list();
    }

    py::object quick(const executor::StepSource& source, const py::object& out) {
        OneOutput output(session_.model(), values_[0], out);
        session_.run(source, 1, output);
        return output.object();
    }

    // Networks of tokens are large: others may work meanwhile.
    py::object quick_token(int64_t token, const py::object& out) {
        OneOutput output(session_.model(), values_[0], out);
        {
            const py::gil_scoped_release unlocked;
            session_.run(executor::ArraySource(session_.model().type(0), &token), 1, output);
        }
        return output.object();
    }

    py::object quick_steps(const executor::StepSource& source, py::ssize_t count, const std::string& keep) {
        if (count == 0) return py::none();
        const auto steps = static_cast<size_t>(count);
        OneOutput output(session_.model(), values_[0], steps, keep);
        {
            const py::gil_scoped_release unlocked;
            session_.run(source, steps, output, wanted(keep, steps));
        }
        return py::make_tuple(count, output.object());
    }

    static py::list step_all(const std::vector<PySession*>& sessions, const executor::StepSource& source,
                             py::ssize_t inputs) {
        const Model& model = sessions[0]->session_.model();
        std::vector<Session*> plain;
        for (PySession* session : sessions) {
            if (&session->session_.model() != &model) fail_input("sessions are of several models", "", "one model");
            plain.push_back(&session->session_);
        }
        if (static_cast<size_t>(inputs) != plain.size())
            fail_input("one input a session", std::to_string(inputs), std::to_string(plain.size()));
        const std::vector<int>& outputs = model.outputs();
        Arrays arrays(model, outputs, plain.size());
        {
            const py::gil_scoped_release unlocked;
            Session::step_many(plain.data(), plain.size(), source, arrays);
        }
        return arrays.list();
    }

    template <typename Work>
    py::list points(const py::object& source, size_t steps, Work work) {
        const encode::PointWindow window = point_window(source);
        executor::check_window(session_.model(), window);
        Arrays arrays(session_.model(), values_, steps);
        {
            const py::gil_scoped_release unlocked;
            work(window, arrays);
        }
        return arrays.list();
    }

    bool takes_lists_, counts_;  // lists of active inputs; a repeated one adds up
    std::vector<int> recorded_, values_;
    Session session_;
    std::vector<uint32_t> room_;  // of a list that is converted
};

}  // namespace

void bind_executor(py::module_& m) {
    py::module_ room = m.def_submodule("executor", "Models and sessions (edgesnn/runtime is the public door).");
    room.def("arm", [] { return kernels::table().arm; }, "Return the instruction-set arm in use.");
    room.def(
        "arms",
        [] {
            std::vector<std::string> names;
            for (const kernels::Table* const* arm = kernels::tables(); *arm != nullptr; ++arm)
                names.push_back((*arm)->arm);
            return names;
        },
        "Return the arms that this machine can run.");
    room.def(
        "operators",
        [] {
            std::vector<std::string> names;
            for (const executor::OpEntry* entry = executor::operators(); entry->name != nullptr; ++entry)
                names.push_back(entry->name);
            return names;
        },
        "Return the names of the native operators.");
    py::class_<Model, std::shared_ptr<Model>>(room, "Model").def(py::init(&build), py::arg("source"));
    py::class_<PySession>(room, "Session")
        .def(py::init<const std::shared_ptr<Model>&, const std::vector<std::string>&, const std::vector<std::string>&,
                      bool, size_t, const std::string&>(),
             py::arg("model"), py::arg("outputs"), py::arg("recorded"), py::arg("account"), py::arg("threads"),
             py::arg("active"))
        .def("step_points", &PySession::step_points, py::arg("window"))
        .def("run_points", &PySession::run_points, py::arg("window"))
        .def("quick_step", &PySession::quick_step, py::arg("x"), py::arg("active"), py::arg("out"))
        .def("quick_run", &PySession::quick_run, py::arg("xs"), py::arg("active"), py::arg("keep"))
        .def("run_array", &PySession::run_array, py::arg("xs"), py::arg("keep"))
        .def("run_events", &PySession::run_events, py::arg("indices"), py::arg("offsets"), py::arg("keep"))
        .def_static("step_many", &PySession::step_many, py::arg("sessions"), py::arg("xs"))
        .def_static("step_many_events", &PySession::step_many_events, py::arg("sessions"), py::arg("indices"),
                    py::arg("offsets"))
        .def("counters", &PySession::counters)
        .def("reset", [](PySession& self) { self.session().reset(); })
        .def("begin_window", [](PySession& self) { self.session().begin_window(); })
        .def("states", [](const py::object& self) { return PySession::states(self); })
        .def_property(
            "step_number", [](PySession& self) { return self.session().step_number(); },
            [](PySession& self, int64_t step) { self.session().set_step_number(step); })
        .def_property_readonly("spikes", [](PySession& self) { return self.session().total().spikes; })
        .def_property_readonly("synops", [](PySession& self) { return self.session().total().synops; });
}

}  // namespace edgesnn::bindings
