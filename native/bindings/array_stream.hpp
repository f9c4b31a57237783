// Windows of events as dense arrays: one at a time, and of a stream. edgesnn/encode/arrays.py is the public door.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event_checks.hpp"
#include "bindings/bindings.hpp"
#include "bindings/event_array.hpp"
#include "bindings/turn.hpp"
#include "encode/array_encoder.hpp"
#include "events/windows/window_cutter.hpp"

namespace edgesnn::bindings {

inline pybind11::dtype dtype_of(encode::Element element) {
    switch (element) {
        case encode::Element::u8:
            return pybind11::dtype::of<uint8_t>();
        case encode::Element::u16:
            return pybind11::dtype::of<uint16_t>();
        case encode::Element::i32:
            return pybind11::dtype::of<int32_t>();
        case encode::Element::f32:
            break;
    }
    return pybind11::dtype::of<float>();
}

class PyArrayEncoder {
  public:
    PyArrayEncoder(const std::string& name, const encode::ArrayParameters& parameters,
                   std::pair<int32_t, int32_t> sensor)
        : sensor_{sensor.first, sensor.second},
          encoder_(encode::make_array_encoder(name, alone(parameters), sensor_)) {}

    std::vector<int64_t> shape() const { return encoder_->shape(); }
    pybind11::dtype dtype() const { return dtype_of(encoder_->element()); }

    // Into `out`, or a new array. Times that step back count as the largest before them; those outside [t0_us, t1_us]
    // as its end that is nearer. By default t0_us is the first event's time, t1_us the largest.
    pybind11::array encode(const pybind11::object& events, std::optional<int64_t> t0_us, std::optional<int64_t> t1_us,
                           uint64_t first_event, const pybind11::object& out) {
        const Turn turn(busy_, "encoder");
        const EventArray array(events);
        pybind11::array made = out.is_none() ? pybind11::array(dtype(), shape()) : given(out);
        void* data = made.mutable_data();
        {
            const pybind11::gil_scoped_release unlocked;
            const bool rise = check_events(array.span, sensor_.width, sensor_.height);
            const int64_t start_us = t0_us.value_or(array.span.empty() ? 0 : array.span[0].t);
            const int64_t latest_us = latest(array.span, rise, start_us);
            const int64_t end_us = t1_us.value_or(latest_us);
            check_window(start_us, end_us);
            const bool inside = array.span.empty() || (array.span[0].t >= start_us && latest_us <= end_us);
            const Span<const Event> rising = rise && inside ? array.span : clamped(array.span, start_us, end_us);
            encoder_->encode({rising, start_us, end_us, first_event}, data);
        }
        return made;
    }

  private:
    static encode::ArrayParameters alone(encode::ArrayParameters parameters) {
        if (const auto memory = parameters.find("memory"); memory != parameters.end()) memory->second = 1;  // window
        return parameters;
    }
    pybind11::array given(const pybind11::object& out) const {
        const auto array = pybind11::isinstance<pybind11::array>(out) ? out.cast<pybind11::array>() : pybind11::array();
        const std::vector<int64_t> wanted = shape();
        const bool fits = pybind11::isinstance<pybind11::array>(out) && array.dtype().equal(dtype()) &&
                          static_cast<size_t>(array.ndim()) == wanted.size() &&
                          std::equal(wanted.begin(), wanted.end(), array.shape());
        if (!fits || !array.writeable() || (array.flags() & pybind11::array::c_style) == 0)
            throw Error(ErrorKind::usage, "out does not fit", "out", pybind11::str(pybind11::type::of(out)),
                        "a writable C-contiguous array of the encoder's shape and dtype");
        return array;
    }
    static int64_t latest(Span<const Event> events, bool rise, int64_t start_us) noexcept {
        if (events.empty()) return start_us;
        const int64_t last_us = events[events.size - 1].t;  // no reference to a packed member
        if (rise) return std::max(start_us, last_us);
        for (const Event& event : events) {
            const int64_t t_us = event.t;
            start_us = std::max(start_us, t_us);
        }
        return start_us;
    }
    static void check_window(int64_t t0_us, int64_t t1_us) {
        const bool fits = t0_us > -kTimeLimit && t1_us < kTimeLimit && t0_us <= t1_us;
        if (!fits || t1_us - t0_us > events::kLengthLimit)
            throw Error(ErrorKind::usage, "not a window", "t0_us, t1_us",
                        std::to_string(t0_us) + " to " + std::to_string(t1_us),
                        "rising, within 2^60, at most 2^48 long");
    }
    Span<const Event> clamped(Span<const Event> events, int64_t t0_us, int64_t t1_us) {
        copy_.assign(events.begin(), events.end());
        int64_t before_us = t0_us;
        for (Event& event : copy_) {
            const int64_t t_us = event.t;
            event.t = before_us = std::min(t1_us, std::max(before_us, t_us));
        }
        return {copy_.data(), copy_.size()};
    }

    encode::Sensor sensor_;
    std::unique_ptr<encode::ArrayEncoder> encoder_;
    std::vector<Event> copy_;
    Turn::Flag busy_ = ATOMIC_FLAG_INIT;
};

class PyArrayStream {
  public:
    PyArrayStream(const std::string& name, const encode::ArrayParameters& parameters,
                  std::pair<int32_t, int32_t> sensor, int64_t length, int64_t hop, bool by_count)
        : sensor_{sensor.first, sensor.second},
          encoder_(encode::make_array_encoder(name, parameters, sensor_)),
          cutter_(options(length, hop, by_count)),
          identity_(identity(name, parameters, length, hop, by_count)) {}

    // Poll until None before the next packet.
    void push(const pybind11::object& events, std::optional<int64_t> t_end_us) {
        const Turn turn(busy_, "encoder");
        const EventArray array(events);
        if (finished_) throw Error(ErrorKind::usage, "a packet was pushed after the end of the stream", "push");
        if (next_ < waiting_.size()) throw Error(ErrorKind::usage, "windows wait to be polled", "push");
        if (t_end_us && (*t_end_us >= kTimeLimit || *t_end_us <= -kTimeLimit))
            throw Error(ErrorKind::usage, "not a time", "t_end_us", std::to_string(*t_end_us), "within 2^60");
        const pybind11::gil_scoped_release unlocked;
        check_events(array.span, sensor_.width, sensor_.height);
        waiting_.assign(array.span.begin(), array.span.end());
        next_ = 0;
        t_end_us_ = t_end_us;
    }
    // (number, t0_us, t1_us, events, array) of the next window, or None.
    pybind11::object poll() {
        const Turn turn(busy_, "encoder");
        events::Window window;
        if (!next(window)) return pybind11::none();
        pybind11::array made(dtype_of(encoder_->element()), encoder_->shape());
        void* data = made.mutable_data();
        {
            const pybind11::gil_scoped_release unlocked;
            encoder_->encode({window.events, window.t0_us, window.t1_us, window.first_event}, data);
        }
        return pybind11::make_tuple(window.number, window.t0_us, window.t1_us, window.events.size, made);
    }
    void finish() {
        const Turn turn(busy_, "encoder");
        finished_ = true;
        if (next_ == waiting_.size() && !t_end_us_ && !cutter_.complete()) cutter_.finish();
    }
    CounterMap counters() {
        const Turn turn(busy_, "encoder");
        CounterMap counters;
        cutter_.count(counters);
        counters["processed"] = cutter_.processed();
        counters["pending"] = cutter_.pending() + static_cast<int64_t>(waiting_.size() - next_);
        return counters;
    }

    // Between two packets: none of its windows waits.
    pybind11::dict save() {
        const Turn turn(busy_, "encoder");
        if (next_ < waiting_.size() || t_end_us_ || cutter_.complete())
            throw Error(ErrorKind::usage, "windows wait to be polled", "save");
        return to_dict(state());
    }
    void load(const pybind11::dict& arrays) {
        const Turn turn(busy_, "encoder");
        const StateTensors tensors = from_dict(arrays), before = state();
        try {
            load_state(tensors);
        } catch (...) {
            load_state(before);
            throw;
        }
        waiting_.clear();
        next_ = 0;
        t_end_us_.reset();
        finished_ = false;
    }

  private:
    std::string identity(const std::string& name, const encode::ArrayParameters& parameters, int64_t length,
                         int64_t hop, bool by_count) const {
        std::string text = name;
        for (const auto& [parameter, value] : parameters) text += ":" + parameter + "=" + std::to_string(value);
        return text + " " + std::to_string(sensor_.width) + "x" + std::to_string(sensor_.height) + " " +
               std::to_string(length) + "/" + std::to_string(hop) + (by_count ? " events" : " us");
    }
    StateTensors state() const {
        StateWriter writer("stream");
        writer.put("of", reinterpret_cast<const uint8_t*>(identity_.data()), {static_cast<int64_t>(identity_.size())});
        writer.section(cutter_.section());
        cutter_.save(writer);
        writer.section("encoder");
        encoder_->save(writer);
        return writer.tensors();
    }
    void load_state(const StateTensors& tensors) {
        const std::vector<uint8_t> of = StateReader(tensors, "stream").get_array<uint8_t>("of");
        const std::string found(of.begin(), of.end());
        if (found != identity_)
            throw Error(ErrorKind::model, "snapshot is of another stream of windows", "stream/of", found.substr(0, 200),
                        identity_);
        cutter_.load(StateReader(tensors, cutter_.section()));
        encoder_->load(StateReader(tensors, "encoder"));
    }
    events::WindowOptions options(int64_t length, int64_t hop, bool by_count) const {
        events::WindowOptions windows;
        windows.by_count = by_count;
        windows.length = length;
        windows.hop = hop;
        windows.width = sensor_.width;
        windows.height = sensor_.height;
        return windows;
    }
    bool next(events::Window& window) {
        const pybind11::gil_scoped_release unlocked;
        for (;;) {
            if (cutter_.close(window)) return true;
            if (next_ < waiting_.size()) {
                next_ += cutter_.push({waiting_.data() + next_, waiting_.size() - next_});
            } else if (t_end_us_) {
                cutter_.advance(*t_end_us_);
                t_end_us_.reset();
            } else {
                if (finished_) cutter_.finish();
                return false;
            }
        }
    }

    encode::Sensor sensor_;
    std::unique_ptr<encode::ArrayEncoder> encoder_;
    events::WindowCutter cutter_;
    std::string identity_;  // of what encoder, sensor and windows: a snapshot of others is refused
    std::vector<Event> waiting_;
    size_t next_ = 0;
    std::optional<int64_t> t_end_us_;
    bool finished_ = false;
    Turn::Flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace edgesnn::bindings
