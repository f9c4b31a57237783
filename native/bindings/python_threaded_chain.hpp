// The chain with a thread that reads, for Python. Every call lets go of the GIL before it takes a lock: a model behind
// a Python object takes it inside.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bindings/python_chain.hpp"
#include "pipeline/threaded_chain.hpp"

namespace edgesnn::bindings {

class PyThreadedChain {
  public:
    using Schedule = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

    PyThreadedChain(PyChain& chain, const std::string& when_full, size_t events, int64_t keep_every)
        : process_(getpid()) {
        const pipeline::RingOptions options{policy(when_full), events, keep_every};
        pipeline::PacketRing{options};  // throws before the chain is taken
        auto [native, python_model] = chain.give_away();
        python_model_ = python_model;
        chain_ = std::make_unique<pipeline::ThreadedChain>(std::move(native), options);
    }
    // A forked child has no thread to join, and its locks may be held by nobody: it leaves all of it alone.
    ~PyThreadedChain() {
        if (getpid() != process_) {
            static_cast<void>(chain_.release());
            return;
        }
        const py::gil_scoped_release unlocked;
        chain_.reset();
    }

    void read(int fd, bool last, const std::string& where) {
        const py::gil_scoped_release unlocked;
        chain_->read(fd, last, where);
    }
    bool reading() const noexcept { return chain_->reading(); }
    bool ended() const noexcept { return chain_->ended(); }
    bool finished() const { return chain_->finished(); }
    void push_bytes(const py::buffer& buffer, std::optional<int64_t> stamp_ns) {
        const py::buffer_info info = buffer.request();
        const Span<const uint8_t> bytes = contiguous(info);
        const py::gil_scoped_release unlocked;
        chain_->push_bytes(bytes, stamp(stamp_ns));
    }
    void push_events(const py::object& events, std::optional<int64_t> t_end_us, std::optional<int64_t> stamp_ns) {
        const EventArray array(events);
        const py::gil_scoped_release unlocked;
        chain_->push_events(array.span, t_end_us.value_or(events::kNoTime), stamp(stamp_ns));
    }
    // schedule: rows of (end, t_end_us, due_ns); returns by how many ns each packet was late
    std::vector<int64_t> push_paced(const py::object& events, const Schedule& schedule) {
        const EventArray array(events);
        if (schedule.ndim() != 2 || schedule.shape(1) != 3)
            throw Error(ErrorKind::usage, "not a schedule", "schedule", {}, "int64 rows of (end, t_end_us, due_ns)");
        std::vector<pipeline::DuePacket> packets;
        for (py::ssize_t row = 0; row < schedule.shape(0); ++row)
            packets.push_back({schedule.at(row, 0), schedule.at(row, 1), schedule.at(row, 2)});
        const py::gil_scoped_release unlocked;
        return chain_->push_paced(array.span, {packets.data(), packets.size()});
    }
    void finish() {
        const py::gil_scoped_release unlocked;
        chain_->finish();
    }
    // Waits at most so long for a decision; Ctrl-C ends the wait.
    py::object poll(int64_t wait_ms) {
        for (int64_t left = std::max<int64_t>(wait_ms, 0);; left -= kSliceMs) {
            pipeline::Result result;
            bool ready = false;
            Status status;
            {
                const py::gil_scoped_release unlocked;
                status = chain_->poll(result, ready, std::chrono::milliseconds(std::min(left, kSliceMs)));
            }
            if (!status.ok()) {
                if (python_model_ != nullptr) python_model_->rethrow();
                raise(status);
            }
            if (ready) return describe(result);
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
            const bool over = chain_->ended() || chain_->closed() || chain_->tap_full();
            if (left <= kSliceMs || over) return py::none();
        }
    }
    CounterMap counters() {
        const py::gil_scoped_release unlocked;
        return chain_->counters();
    }
    py::dict save() {
        StateTensors tensors;
        {
            const py::gil_scoped_release unlocked;
            tensors = chain_->save();
        }
        return to_dict(tensors);
    }
    void load(const py::dict& state) {
        const StateTensors tensors = from_dict(state);
        const py::gil_scoped_release unlocked;
        chain_->load(tensors);
    }
    void reset() {
        const py::gil_scoped_release unlocked;
        chain_->reset();
    }
    void tap(size_t most) {
        const py::gil_scoped_release unlocked;
        chain_->tap(most);
    }
    bool tap_full() const noexcept { return chain_->tap_full(); }
    // (rows of (events, t_end_us, lost), event array): the memory of what was tapped, not copies
    py::tuple take_tapped() {
        auto tapped = std::make_unique<pipeline::Tapped>();
        {
            const py::gil_scoped_release unlocked;
            *tapped = chain_->take_tapped();
        }
        const py::dtype dtype = py::module_::import("edgesnn.events.types").attr("EVENT").cast<py::dtype>();
        const pipeline::Tapped& kept = *tapped;
        const py::capsule owner(tapped.release(), [](void* held) { delete static_cast<pipeline::Tapped*>(held); });
        return py::make_tuple(
            py::array_t<int64_t>({static_cast<py::ssize_t>(kept.packets.size() / 3), py::ssize_t{3}},
                                 kept.packets.data(), owner),
            py::array(dtype, {static_cast<py::ssize_t>(kept.events.size())}, {}, kept.events.data(), owner));
    }
    py::dict save_behind() {
        StateTensors tensors;
        {
            const py::gil_scoped_release unlocked;
            tensors = chain_->save_behind();
        }
        return to_dict(tensors);
    }
    void close() {
        const py::gil_scoped_release unlocked;
        chain_->close();
    }

  private:
    static constexpr int64_t kSliceMs = 250;  // Ctrl-C is looked for so often

    static pipeline::WhenFull policy(const std::string& name) {
        if (name == "block") return pipeline::WhenFull::block;
        if (name == "drop_oldest") return pipeline::WhenFull::drop_oldest;
        if (name == "decimate") return pipeline::WhenFull::decimate;
        throw Error(ErrorKind::usage, "no policy of this name", "when_full", name, "block, drop_oldest or decimate");
    }

    std::unique_ptr<pipeline::ThreadedChain> chain_;
    PythonWindowModel* python_model_ = nullptr;  // owned by the chain; null: a native model
    pid_t process_;
};

}  // namespace edgesnn::bindings
