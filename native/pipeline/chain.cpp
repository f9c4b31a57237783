#include "pipeline/chain.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

namespace edgesnn::pipeline {
namespace {

InputOptions input_options(const ChainOptions& options) {
    if (options.sensor.width < 1 || options.sensor.height < 1 || options.sensor.width > 65536 ||
        options.sensor.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor",
                    std::to_string(options.sensor.width) + "x" + std::to_string(options.sensor.height),
                    "1x1 to 65536x65536");
    return {options.sensor.width, options.sensor.height, options.strict};
}

events::WindowOptions window_options(const ChainOptions& options, encode::Sensor sensor) {
    events::WindowOptions windows = options.windows;
    windows.width = sensor.width;
    windows.height = sensor.height;
    return windows;
}

Status unexpected(const char* what) noexcept {
    Status status;
    status.kind = ErrorKind::internal;
    status.what = what;
    return status;
}

}  // namespace

int64_t monotonic_ns() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

Chain::Chain(const ChainOptions& options, std::unique_ptr<events::Decoder> decoder,
             std::unique_ptr<encode::Encoder> encoder, std::unique_ptr<WindowModel> model)
    : options_(options),
      input_(input_options(options), std::move(decoder)),
      filters_(options.filters, {options.sensor.width, options.sensor.height}),
      sensor_{filters_.area().width, filters_.area().height},
      cutter_(window_options(options, sensor_)),
      encoder_(std::move(encoder)),
      model_(std::move(model)),
      decide_(options.readout),
      decodes_(input_.decodes()) {
    encoder_->check_sensor(sensor_);
}

Status Chain::poll(Result& out, bool& ready) noexcept {
    ready = false;
    try {
        for (;;) {
            events::Window window;
            if (cutter_.close(window)) {
                Status status = decide(window, out);
                ready = status.ok();
                return status;
            }
            if (move_events()) continue;
            filters_.advance(input_.time_us());
            cutter_.advance(filters_.empty() ? input_.time_us() : filters_.reached_us());  // by dropped events too
            if (cutter_.complete()) continue;
            bool more = false;
            if (Status status = input_.next(more); !status.ok()) return status;
            if (more) continue;
            if (input_.finished()) cutter_.finish();
            return {};
        }
    } catch (const Error& error) {
        return error.status();
    } catch (const std::exception&) {
        return unexpected("no memory");
    }
}

// Moves some events one stage on; false: none wait before the windows.
bool Chain::move_events() {
    if (const Span<const Event> events = filters_.events(); !events.empty()) {
        filters_.take(cutter_.push(events));
        return true;
    }
    const Span<const Event> events = input_.events();
    if (events.empty()) return false;
    input_.take(filters_.empty() ? cutter_.push(events) : filters_.push(events));
    return true;
}

Status Chain::decide(const events::Window& window, Result& out) {
    out.number = window.number;
    out.t0_us = window.t0_us;
    out.t1_us = window.t1_us;
    out.events = static_cast<int64_t>(window.events.size);
    out.dropped = window.dropped;
    out.stamp = input_.stamp();
    out.began_ns = monotonic_ns();
    out.closed_ns = out.stamp.queued_ns != 0 ? out.stamp.queued_ns : out.began_ns;
    out.inference = Inference{};
    const bool idle = window.events.empty() || out.events < options_.min_events;
    if (!idle || options_.run_idle) {
        encoder_->encode({window.events, sensor_, window.number, window.first_event, window.t0_us}, encoded_);
        if (Status status = model_->infer(encoded_, out.inference); !status.ok()) return status;
        if (out.inference.scores.empty()) return unexpected("the model gave no scores");
    }
    const size_t scores = idle ? 0 : out.inference.scores.size();
    Status status = decide_.push({out.inference.scores.data(), scores}, out.decision);
    out.decided_ns = monotonic_ns();
    return status;
}

CounterMap Chain::counters() const {
    CounterMap counters;
    input_.count(counters);
    filters_.count(counters);
    cutter_.count(counters);
    encoder_->count(counters);
    decide_.count(counters);
    counters["processed"] = cutter_.processed();
    counters["pending"] = input_.pending() + filters_.pending() + cutter_.pending();
    return counters;
}

void Chain::reset() {
    model_->reset();
    decide_.reset();
}

StateTensors Chain::save() const {
    StateWriter writer("input");
    input_.save(writer);
    if (!filters_.empty()) {
        writer.section(filters_.section());
        filters_.save(writer);
    }
    const Stage* stages[] = {&cutter_, encoder_.get(), &decide_};
    for (const Stage* stage : stages) {
        writer.section(stage->section());
        stage->save(writer);
    }
    writer.section("session");
    model_->save(writer);
    return writer.tensors();
}

void Chain::load(const StateTensors& tensors) {
    check_sections(tensors);
    Status failure = input_.take_failure();  // a stream that has failed is saved by nobody else
    const StateTensors before = save();
    try {
        load_stages(tensors);
    } catch (...) {
        load_stages(before);
        input_.fail(std::move(failure));
        throw;
    }
}

void Chain::load_stages(const StateTensors& tensors) {
    input_.load(StateReader(tensors, "input"));
    input_.load_counters(tensors);
    if (!filters_.empty()) filters_.load(StateReader(tensors, filters_.section()));
    cutter_.load(StateReader(tensors, "window"));
    encoder_->load(StateReader(tensors, encoder_->section()));
    decide_.load(StateReader(tensors, "decide"));
    model_->load(StateReader(tensors, "session"));
}

void Chain::check_sections(const StateTensors& tensors) const {
    for (const auto& [name, tensor] : tensors) {
        const std::string section = name.substr(0, name.find('/'));
        const bool known = section == "input" || section == "counters" || section == "window" || section == "session" ||
                           section == "decide" || section == encoder_->section() ||
                           (section == "decoder" && decodes_) || (section == filters_.section() && !filters_.empty());
        if (!known)
            throw Error(ErrorKind::model, "snapshot has a section that this pipeline does not have", "snapshot",
                        section);
    }
}

}  // namespace edgesnn::pipeline
