// A model behind a Python object: any backend of edgesnn.runtime in the native chain
// (edgesnn/pipeline/session_model.py).
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/encoded.hpp"
#include "pipeline/window_model.hpp"

namespace edgesnn::bindings {

// The object has infer(window) -> (scores, steps, spikes, synops, macs), where window is the fields of
// edgesnn.encode.points.PointWindow or edgesnn.encode.spikes.SpikeWindow, save() -> {name: array} and load({name:
// array}). Its exceptions are kept for the caller of poll (`rethrow`); the chain sees a Status.
class PythonWindowModel final : public pipeline::WindowModel {
  public:
    explicit PythonWindowModel(pybind11::object model) : model_(std::move(model)) {}
    ~PythonWindowModel() override {
        const pybind11::gil_scoped_acquire locked;
        model_ = pybind11::object();
        raised_.reset();
    }

    Status infer(const encode::Encoded& window, pipeline::Inference& out) noexcept override {
        namespace py = pybind11;
        const py::gil_scoped_acquire locked;
        try {
            const py::tuple fields = std::visit([](const auto& encoded) { return as_tuple(encoded); }, window);
            const py::tuple result = model_.attr("infer")(fields);
            const auto scores = result[0].cast<py::array_t<float, py::array::c_style | py::array::forcecast>>();
            out.scores.assign(scores.data(), scores.data() + scores.size());
            out.steps = result[1].cast<int64_t>();
            out.spikes = result[2].cast<int64_t>();
            out.synops = result[3].cast<int64_t>();
            out.macs = result[4].cast<int64_t>();
            return {};
        } catch (py::error_already_set& error) {
            raised_.emplace(std::move(error));
            return failed("the model raised an exception");
        } catch (const std::exception& error) {
            return failed(error.what());
        }
    }
    void save(StateWriter& writer) const override {
        namespace py = pybind11;
        const py::gil_scoped_acquire locked;
        const StateTensors tensors = from_dict(model_.attr("save")().cast<py::dict>());
        for (const auto& [name, tensor] : tensors) writer.put(name, tensor);
    }
    void load(const StateReader& reader) override {
        const pybind11::gil_scoped_acquire locked;
        model_.attr("load")(to_dict(reader.all()));
    }
    void reset() override {
        const pybind11::gil_scoped_acquire locked;
        model_.attr("reset")();
    }
    // Raises what infer's object raised, if it did. Call with the GIL held.
    void rethrow() {
        if (!raised_) return;
        pybind11::error_already_set error = std::move(*raised_);
        raised_.reset();
        throw error;
    }

  private:
    static Status failed(const char* what) noexcept {
        Status status;
        status.kind = ErrorKind::internal;
        status.what = what;
        return status;
    }

    pybind11::object model_;
    std::optional<pybind11::error_already_set> raised_;
};

}  // namespace edgesnn::bindings
