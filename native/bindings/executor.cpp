// _native.executor: models and sessions. edgesnn/runtime/backends/native.py is the public door; arguments of dense
// inputs were checked there.
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

// New arrays [steps, ...] for some values, filled as the steps come.
class Arrays final : public executor::StepSink {
  public:
    Arrays(const Session& session, std::vector<int> values, size_t steps)
        : session_(session), values_(std::move(values)) {
        for (const int value : values_) {
            const auto& type = session.model().type(value);
            std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(steps)};
            shape.insert(shape.end(), type.shape.begin(), type.shape.end());
            const bool real = type.kind == Kind::real;
            arrays_.emplace_back(real ? py::dtype::of<float>() : py::dtype::of<uint8_t>(), shape);
            to_.push_back(static_cast<uint8_t*>(arrays_.back().mutable_data()));
        }
    }

    void steps(size_t, size_t count) noexcept override {
        for (size_t i = 0; i < values_.size(); ++i) {
            const auto& type = session_.model().type(values_[i]);
            for (size_t t = 0; t < count; ++t) {
                session_.copy_value(values_[i], t, to_[i]);
                to_[i] += type.rows() * type.columns() * type.item_size();
            }
        }
    }

    py::list list() const { return py::cast(arrays_); }

  private:
    const Session& session_;
    std::vector<int> values_;
    std::vector<py::array> arrays_;
    std::vector<uint8_t*> to_;
};

// A session and which of its values Python wants to see after each call.
class PySession {
  public:
    PySession(const std::shared_ptr<Model>& model, const std::vector<std::string>& values)
        : values_(indices(*model, values)), session_(model, values_) {}

    py::list step_points(const py::object& source) {
        return points(source, 1, [this](const encode::PointWindow& window) { session_.step(window); });
    }
    py::list run_points(const py::object& source) {
        const auto steps = static_cast<size_t>(session_.model().spec().input.steps);
        return points(source, steps, [this](const encode::PointWindow& window) { session_.run(window); });
    }

    py::list run_dense(const py::array& xs) {
        if (session_.model().spec().input.kind != "dense")
            throw Error(ErrorKind::model, "model takes no arrays", "input", "dense",
                        session_.model().spec().input.kind);
        Arrays arrays(session_, values_, static_cast<size_t>(xs.shape(0)));
        {
            const py::gil_scoped_release unlocked;
            session_.run(xs.data(), static_cast<size_t>(xs.shape(0)), arrays);
        }
        return arrays.list();
    }

    // Writable views by name; `self` keeps the memory alive.
    static py::dict states(const py::object& self) {
        py::dict views;
        for (const StateView& state : self.cast<PySession&>().session_.states())
            views[py::str(state.spec->name)] = view(state, self);
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

    static py::array view(const StateView& state, const py::object& owner) {
        const bool real = state.spec->dtype == Dtype::f32;
        const py::dtype dtype = real ? py::dtype::of<float>() : py::dtype::of<int64_t>();
        std::vector<py::ssize_t> strides(state.spec->shape.size());
        py::ssize_t stride = dtype.itemsize();
        for (size_t i = strides.size(); i-- > 0;) {
            strides[i] = stride;
            stride *= i + 1 == strides.size() ? static_cast<py::ssize_t>(state.stride) : state.spec->shape[i];
        }
        return py::array(dtype, state.spec->shape, strides, state.data, owner);
    }

    template <typename Work>
    py::list points(const py::object& source, size_t steps, Work work) {
        const encode::PointWindow window = point_window(source);
        session_.check(window);
        Arrays arrays(session_, values_, steps);
        {
            const py::gil_scoped_release unlocked;
            work(window);
            arrays.steps(0, steps);
        }
        return arrays.list();
    }

    std::vector<int> values_;
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
        .def(py::init<const std::shared_ptr<Model>&, const std::vector<std::string>&>(), py::arg("model"),
             py::arg("values"))
        .def("step_points", &PySession::step_points, py::arg("window"))
        .def("run_points", &PySession::run_points, py::arg("window"))
        .def("run_dense", &PySession::run_dense, py::arg("xs"))
        .def("reset", [](PySession& self) { self.session().reset(); })
        .def("states", [](const py::object& self) { return PySession::states(self); })
        .def_property(
            "step_number", [](PySession& self) { return self.session().step_number(); },
            [](PySession& self, int64_t step) { self.session().set_step_number(step); })
        .def_property_readonly("spikes", [](PySession& self) { return self.session().counters().spikes; })
        .def_property_readonly("synops", [](PySession& self) { return self.session().counters().synops; });
}

}  // namespace edgesnn::bindings
