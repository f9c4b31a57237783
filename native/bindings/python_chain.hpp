// What the bindings of the chain share: its making, its results.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings/bindings.hpp"
#include "bindings/encoding.hpp"
#include "bindings/event_array.hpp"
#include "bindings/filters.hpp"
#include "bindings/python_window_model.hpp"
#include "bindings/turn.hpp"
#include "pipeline/chain.hpp"
#include "pipeline/executor_model.hpp"

namespace edgesnn::bindings {

namespace py = pybind11;

inline pipeline::Readout readout(const py::object& source) {
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

inline const char* name_of(pipeline::Verdict verdict) noexcept {
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
inline py::tuple decided(const pipeline::Decision& decision) {
    const py::object active = decision.active < 0 ? py::object(py::none()) : py::object(py::int_(decision.active));
    return py::make_tuple(name_of(decision.verdict), active, decision.probabilities);
}

inline pipeline::Stamp stamp(std::optional<int64_t> stamp_ns) noexcept {
    return {stamp_ns.has_value(), stamp_ns.value_or(0), pipeline::monotonic_ns()};
}

// ((number, t0_us, t1_us, events, dropped), decided, (steps, spikes, synops, macs), stamp_ns, (arrived, closed, began,
// decided)_ns)
inline py::object describe(const pipeline::Result& r) {
    const int64_t arrived_ns = r.stamp.arrived_ns != 0 ? r.stamp.arrived_ns : r.closed_ns;
    const py::object stamp_ns = r.stamp.given ? py::object(py::int_(r.stamp.stamp_ns)) : py::object(py::none());
    return py::make_tuple(py::make_tuple(r.number, r.t0_us, r.t1_us, r.events, r.dropped), decided(r.decision),
                          py::make_tuple(r.inference.steps, r.inference.spikes, r.inference.synops, r.inference.macs),
                          stamp_ns, py::make_tuple(arrived_ns, r.closed_ns, r.began_ns, r.decided_ns));
}

inline Span<const uint8_t> contiguous(const py::buffer_info& info) {
    if (info.ndim > 1 || (info.ndim == 1 && info.strides[0] != info.itemsize))
        throw Error(ErrorKind::usage, "bytes are not contiguous", "push");
    return {static_cast<const uint8_t*>(info.ptr), static_cast<size_t>(info.size * info.itemsize)};
}

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
        chain_ = std::make_unique<pipeline::Chain>(options, std::move(decoder), make_encoder(encoding),
                                                   window_model(model, options.readout));
    }

    void push_bytes(const py::buffer& buffer, std::optional<int64_t> stamp_ns) {
        const Turn turn(busy_, "pipeline");
        const py::buffer_info info = buffer.request();
        chain().input().push_bytes(contiguous(info), stamp(stamp_ns));
    }
    void push_events(const py::object& events, std::optional<int64_t> t_end_us, std::optional<int64_t> stamp_ns) {
        const Turn turn(busy_, "pipeline");
        const EventArray array(events);
        chain().input().push_events(array.span, t_end_us.value_or(events::kNoTime), stamp(stamp_ns));
    }
    void lose(int64_t events) {
        const Turn turn(busy_, "pipeline");
        chain().lose(events);
    }
    void finish() {
        const Turn turn(busy_, "pipeline");
        chain().input().finish();
    }
    py::object poll() {
        const Turn turn(busy_, "pipeline");
        bool ready = false;
        Status status;
        {
            const py::gil_scoped_release unlocked;
            status = chain().poll(result_, ready);
        }
        if (!status.ok()) {
            if (python_model_ != nullptr) python_model_->rethrow();
            raise(status);
        }
        return ready ? describe(result_) : py::object(py::none());
    }
    CounterMap counters() {
        const Turn turn(busy_, "pipeline");
        return chain().counters();
    }
    py::dict save() {
        const Turn turn(busy_, "pipeline");
        return to_dict(chain().save());
    }
    void load(const py::dict& state) {
        const Turn turn(busy_, "pipeline");
        chain().load(from_dict(state));
    }
    void reset() {
        const Turn turn(busy_, "pipeline");
        chain().reset();
    }

    // For a ThreadedChain: this one is not to be used any more.
    std::pair<std::unique_ptr<pipeline::Chain>, PythonWindowModel*> give_away() {
        const Turn turn(busy_, "pipeline");
        chain();
        return {std::move(chain_), std::exchange(python_model_, nullptr)};
    }

  private:
    pipeline::Chain& chain() {
        if (chain_ == nullptr) throw Error(ErrorKind::usage, "the chain was given to another", "pipeline");
        return *chain_;
    }
    // A model of the native executor, or any object with the methods that PythonWindowModel calls.
    std::unique_ptr<pipeline::WindowModel> window_model(const py::object& model, const pipeline::Readout& decides) {
        if (py::isinstance<executor::Model>(model))
            return pipeline::make_window_model(model.cast<std::shared_ptr<executor::Model>>(), decides);
        auto adapter = std::make_unique<PythonWindowModel>(model);
        python_model_ = adapter.get();
        return adapter;
    }
    std::unique_ptr<pipeline::Chain> chain_;
    PythonWindowModel* python_model_ = nullptr;  // owned by the chain; null: a native model
    pipeline::Result result_;
    Turn::Flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace edgesnn::bindings
