// _native.executor: models and sessions. edgesnn/runtime/backends/native.py is the public door; arguments of dense
// inputs were checked there.
#include <algorithm>

#include "bindings/bindings.hpp"
#include "bindings/executor_model.hpp"
#include "bindings/point_window.hpp"
#include "executor/session.hpp"
#include "kernels/kernels.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

using executor::Dtype;
using executor::Kind;
using executor::Model;
using executor::Session;
using executor::StateView;

std::shared_ptr<Model> build(const py::dict& source) {
    return std::const_pointer_cast<Model>(Model::build(model_spec(source)));
}

py::dtype dtype_of(Kind kind) {
    if (kind == Kind::integer) return py::dtype::of<uint8_t>();
    return kind == Kind::wide ? py::dtype::of<int32_t>() : py::dtype::of<float>();
}

// New arrays [steps, ...] for some values, filled as the steps come.
class Arrays final : public executor::StepSink {
  public:
    Arrays(const Model& model, const std::vector<int>& values, size_t steps) : values_(values) {
        for (const int value : values_) {
            const auto& type = model.type(value);
            std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(steps)};
            shape.insert(shape.end(), type.shape.begin(), type.shape.end());
            arrays_.emplace_back(dtype_of(type.kind), shape);
            to_.push_back(static_cast<uint8_t*>(arrays_.back().mutable_data()));
            bytes_.push_back(executor::elements(type.shape) * type.item_size());
        }
    }

    void steps(const Session& session, size_t, size_t count) noexcept override {
        for (size_t i = 0; i < values_.size(); ++i)
            for (size_t t = 0; t < count; ++t, to_[i] += bytes_[i]) session.copy_value(values_[i], t, to_[i]);
    }

    py::list list() const { return py::cast(arrays_); }

  private:
    const std::vector<int>& values_;
    std::vector<py::array> arrays_;
    std::vector<uint8_t*> to_;
    std::vector<size_t> bytes_;
};

[[noreturn]] void fail_input(const std::string& what, const std::string& found, const std::string& expected) {
    throw Error(ErrorKind::model, what, "input", found, expected);
}

// The rows of an array [steps, ...input.shape] of the input's type; edgesnn/runtime checked the rest. Tokens are looked
// at again: they are indices.
executor::ArraySource array_source(const Model& model, const py::array& xs) {
    const auto& type = model.type(0);
    if (type.kind == Kind::window) fail_input("model takes windows of points, not arrays", "array", "points");
    const py::dtype wanted = type.kind == Kind::token ? py::dtype::of<int64_t>() : dtype_of(type.kind);
    const bool fits =
        xs.ndim() >= 1 && (xs.flags() & py::array::c_style) != 0 && xs.dtype().equal(wanted) &&
        static_cast<size_t>(xs.size()) == static_cast<size_t>(xs.shape(0)) * executor::elements(type.shape);
    if (!fits) fail_input("array has another type or size", py::str(py::object(xs.dtype())), describe(type));
    if (type.kind == Kind::token) {
        const auto* tokens = static_cast<const int64_t*>(xs.data());
        for (py::ssize_t i = 0; i < xs.size(); ++i)
            if (tokens[i] < 0 || tokens[i] > type.bound)
                fail_input("token is not in the vocabulary", std::to_string(tokens[i]),
                           "0 to " + std::to_string(type.bound));
    }
    return {type, xs.data()};
}

using Indices = py::array_t<uint32_t, py::array::c_style>;
using Offsets = py::array_t<int64_t, py::array::c_style>;

// Lists of active inputs; all that a fill relies on is checked.
executor::EventSource event_source(const Model& model, const Indices& indices, const Offsets& offsets, bool count) {
    const auto& type = model.type(0);
    if (type.kind != Kind::integer) fail_input("model takes no lists of active inputs", describe(type), "kind spikes");
    const auto size = static_cast<int64_t>(executor::elements(type.shape));
    const uint32_t* index = indices.data();
    const int64_t* offset = offsets.data();
    if (indices.ndim() != 1 || offsets.ndim() != 1 || offsets.size() < 1 || offset[0] != 0 ||
        offset[offsets.size() - 1] != indices.size())
        fail_input("offsets do not fit the indices", std::to_string(offsets.size()) + " offsets",
                   "0, .., " + std::to_string(indices.size()));
    for (py::ssize_t step = 0; step + 1 < offsets.size(); ++step) {
        if (offset[step + 1] < offset[step] || offset[step + 1] > indices.size())
            fail_input("offsets do not ascend", std::to_string(offset[step + 1]), std::to_string(offset[step]));
        int64_t run = 0;
        for (int64_t i = offset[step]; i < offset[step + 1]; ++i) {
            if (index[i] >= size)
                fail_input("index is out of range", std::to_string(index[i]), "0 to " + std::to_string(size - 1));
            const bool first = i == offset[step];
            if (!first && index[i] < index[i - 1])
                fail_input("indices are not ascending", std::to_string(index[i]),
                           "at least " + std::to_string(index[i - 1]));
            run = !first && index[i] == index[i - 1] ? run + 1 : 1;
            if (count && run > type.bound)
                fail_input("an input stands more often than its bound", std::to_string(run),
                           "at most " + std::to_string(type.bound));
        }
    }
    return {type, index, offset, count};
}

// A step's only output, small integers as int32.
class OneOutput final : public executor::StepSink {
  public:
    OneOutput(const Model& model, int value)
        : value_(value), bytes_(model.type(value).kind == Kind::integer), shape_(model.type(value).shape) {
        array_ = py::array(
            bytes_ || model.type(value).kind == Kind::wide ? py::dtype::of<int32_t>() : py::dtype::of<float>(), shape_);
    }

    void steps(const Session& session, size_t, size_t) noexcept override {
        session.copy_value(value_, 0, array_.mutable_data());
        if (!bytes_) return;
        auto* wide = static_cast<int32_t*>(array_.mutable_data());  // widened in place, from the end
        const auto* narrow = static_cast<const uint8_t*>(array_.data());
        for (size_t i = executor::elements(shape_); i-- > 0;) wide[i] = narrow[i];
    }

    py::array array() { return std::move(array_); }

  private:
    int value_;
    bool bytes_;
    const executor::Shape& shape_;
    py::array array_;
};

// Whether an object is an array exactly as the input lies in memory, its values within what the input allows.
bool is_input(const Model& model, const py::handle& x) {
    const auto& type = model.type(0);
    if (!py::isinstance<py::array>(x)) return false;
    const auto array = py::reinterpret_borrow<py::array>(x);
    const int number = type.kind == Kind::real ? py::detail::npy_api::NPY_FLOAT_ : py::detail::npy_api::NPY_UBYTE_;
    if (array.dtype().num() != number || (array.flags() & py::array::c_style) == 0 ||
        static_cast<size_t>(array.ndim()) != type.shape.size() ||
        !std::equal(type.shape.begin(), type.shape.end(), array.shape()))
        return false;
    const auto size = static_cast<size_t>(array.size());
    if (type.kind == Kind::real) {
        const auto* values = static_cast<const float*>(array.data());
        float zero = 0.0F;  // stays so unless a value is infinite or no number
        for (size_t i = 0; i < size; ++i) zero += values[i] * 0.0F;
        return zero == 0.0F;
    }
    const auto* values = static_cast<const uint8_t*>(array.data());
    uint8_t largest = 0;
    for (size_t i = 0; i < size; ++i) largest = std::max(largest, values[i]);
    return largest <= type.bound;
}

// A session and which of its values Python wants to see after each call.
class PySession {
  public:
    PySession(const std::shared_ptr<Model>& model, const std::vector<std::string>& outputs,
              const std::vector<std::string>& recorded, bool account, size_t threads)
        : recorded_(indices(*model, recorded)),
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
    py::list run_array(const py::array& xs) {
        const executor::ArraySource source = array_source(session_.model(), xs);
        return run(source, static_cast<size_t>(xs.shape(0)));
    }
    py::list run_events(const Indices& indices, const Offsets& offsets, bool count) {
        const executor::EventSource source = event_source(session_.model(), indices, offsets, count);
        return run(source, static_cast<size_t>(offsets.size() - 1));
    }

    // One step of a model with one output and no recorded values, from an array that needs no conversion: the output.
    // None, and nothing done, where the argument is anything else.
    py::object quick_step(const py::handle& x) {
        const Model& model = session_.model();
        if (values_.size() != 1 || model.type(0).kind == Kind::window || model.type(0).kind == Kind::token ||
            !is_input(model, x))
            return py::none();
        OneOutput output(model, values_[0]);
        const auto array = py::reinterpret_borrow<py::array>(x);
        session_.run(executor::ArraySource(model.type(0), array.data()), 1, output);
        return output.array();
    }

    // One step of each session; the arrays of the first one's outputs.
    static py::list step_many(const std::vector<PySession*>& sessions, const py::array& xs) {
        if (sessions.empty()) return py::list();
        const Model& model = sessions[0]->session_.model();
        std::vector<Session*> plain;
        for (PySession* session : sessions) {
            if (&session->session_.model() != &model) fail_input("sessions are of several models", "", "one model");
            plain.push_back(&session->session_);
        }
        const executor::ArraySource source = array_source(model, xs);
        if (static_cast<size_t>(xs.shape(0)) != plain.size())
            fail_input("one input a session", std::to_string(xs.shape(0)), std::to_string(plain.size()));
        const std::vector<int>& outputs = model.outputs();
        Arrays arrays(model, outputs, plain.size());
        {
            const py::gil_scoped_release unlocked;
            Session::step_many(plain.data(), plain.size(), source, arrays);
        }
        return arrays.list();
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

    py::list run(const executor::StepSource& source, size_t steps) {
        Arrays arrays(session_.model(), values_, steps);
        {
            const py::gil_scoped_release unlocked;
            session_.run(source, steps, arrays);
        }
        return arrays.list();
    }

    template <typename Work>
    py::list points(const py::object& source, size_t steps, Work work) {
        const encode::PointWindow window = point_window(source);
        session_.check(window);
        Arrays arrays(session_.model(), values_, steps);
        {
            const py::gil_scoped_release unlocked;
            work(window, arrays);
        }
        return arrays.list();
    }

    std::vector<int> recorded_, values_;
    Session session_;
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
                      bool, size_t>(),
             py::arg("model"), py::arg("outputs"), py::arg("recorded"), py::arg("account"), py::arg("threads"))
        .def("step_points", &PySession::step_points, py::arg("window"))
        .def("run_points", &PySession::run_points, py::arg("window"))
        .def("quick_step", &PySession::quick_step, py::arg("x"))
        .def("run_array", &PySession::run_array, py::arg("xs"))
        .def("run_events", &PySession::run_events, py::arg("indices"), py::arg("offsets"), py::arg("count"))
        .def_static("step_many", &PySession::step_many, py::arg("sessions"), py::arg("xs"))
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
