#include "pipeline/threaded_chain.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>
#include <system_error>
#include <utility>

namespace edgesnn::pipeline {
namespace {

constexpr size_t kPieceEvents = size_t{1} << 13;  // of a pushed array in one packet

[[noreturn]] void refuse(const char* what, const char* where = "push", const char* hint = "") {
    throw Error(ErrorKind::usage, what, where, {}, {}, hint);
}

Status no_memory() noexcept {
    Status status;
    status.kind = ErrorKind::internal;
    status.what = "no memory";
    return status;
}

// A thread begins with its maker's signal mask: the signals stay with the threads that Python knows.
class SignalsBlocked {
  public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
};

}  // namespace

ThreadedChain::ThreadedChain(std::unique_ptr<Chain> chain, const RingOptions& ring)
    : chain_(std::move(chain)), ring_(ring) {
    if (!chain_->input().decodes()) return;
    StateWriter writer("decoder");
    chain_->input().decoder()->save(writer);
    fresh_ = writer.tensors();
}

void ThreadedChain::read(int fd, bool last, const std::string& where) {
    const std::lock_guard<std::mutex> lock(starting_);
    if (!chain_->input().decodes()) refuse("bytes are to be read, but no format is known", "read", "name the format");
    if (reading_) refuse("a descriptor is read already", "read");
    if (closed_ || ring_.finished()) refuse("a descriptor was given after the end of the stream", "read");
    auto reader = std::make_unique<StreamReader>(fd, where);
    if (reader->socket() && ring_.blocks())
        throw Error(ErrorKind::usage, "a socket cannot wait for room", where, "block", "drop_oldest or decimate");
    if (thread_.joinable()) thread_.join();
    if (used_) renew_decoder();
    reader_ = std::move(reader);
    last_ = last;
    used_ = reading_ = true;
    try {
        const SignalsBlocked blocked;
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
        reading_ = false;
        throw Error(ErrorKind::internal, "no thread to read with", where, error.what());
    }
}

void ThreadedChain::run() noexcept {
    try {
        std::vector<uint8_t> buffer(kMostDatagram);
        while (read_some(buffer)) continue;
    } catch (...) {
        ring_.finish(no_memory());
    }
    reading_ = false;
}

bool ThreadedChain::read_some(std::vector<uint8_t>& buffer) {
    if (!ring_.wait_for_room() || !reader_->wait()) return false;
    const Gate::Step step(gate_);
    if (ring_.finished()) return false;
    size_t size = kPieceBytes;
    Status error;
    switch (reader_->read(buffer.data(), size, error)) {
        case StreamReader::Got::nothing:
            return true;
        case StreamReader::Got::bytes:
            break;
        default:
            return end_of_reading(error);
    }
    truncated_datagrams_ += reader_->take_truncated();
    counts_.bytes += static_cast<int64_t>(size);
    ++counts_.packets;
    Stamp stamp;
    stamp.arrived_ns = monotonic_ns();
    decode({buffer.data(), size}, stamp, false);
    return !ring_.finished();
}

bool ThreadedChain::end_of_reading(const Status& status) {
    if (last_) ring_.finish(status);
    if (!last_ && !status.ok()) ++read_errors_;
    return false;
}

// A new connection begins with a whole word: what the old one left unfinished is settled, its counts stay.
void ThreadedChain::renew_decoder() {
    const Gate::Step step(gate_);
    events::Decoder& decoder = *chain_->input().decoder();
    scratch_.clear();
    Status status = decoder.finish(scratch_);
    Stamp stamp;
    stamp.arrived_ns = monotonic_ns();
    put_decoded(stamp, false);
    if (!status.ok()) return ring_.finish(std::move(status));
    StateWriter writer("decoder");
    decoder.save(writer);
    StateTensors state = fresh_;
    state["decoder/counters"] = writer.tensors().at("decoder/counters");
    decoder.load(StateReader(state, "decoder"));
}

// False: the stream has failed, and takes packets for nothing.
bool ThreadedChain::enter_push() {
    if (closed_) refuse("a packet was pushed into a pipeline that is closed");
    if (!ring_.finished()) return true;
    if (ring_.end().ok()) refuse("a packet was pushed after the end of the stream");
    return false;
}

void ThreadedChain::push_bytes(Span<const uint8_t> bytes, Stamp stamp) {
    if (!chain_->input().decodes())
        refuse("bytes were pushed, but no format is known", "push", "name the format, or push event arrays");
    bool first = true;
    for (size_t at = 0; first || at < bytes.size;) {
        if (!ring_.wait_for_room()) refuse("a packet was pushed into a pipeline that is closed");
        const Gate::Step step(gate_);
        if (!enter_push()) return;
        const size_t size = std::min(kPieceBytes, bytes.size - at);
        counts_.bytes += static_cast<int64_t>(size);
        counts_.packets += first;
        decode({bytes.data + at, size}, stamp, false);
        at += size;
        first = false;
    }
}

void ThreadedChain::push_events(Span<const Event> events, int64_t t_end_us, Stamp stamp) {
    const std::vector<Event> possible = chain_->input().possible_events(events);
    bool first = true;
    for (size_t at = 0; first || at < possible.size();) {
        if (!ring_.wait_for_room()) refuse("a packet was pushed into a pipeline that is closed");
        const Gate::Step step(gate_);
        if (!enter_push()) return;
        if (first) {
            ++counts_.packets;
            counts_.impossible += static_cast<int64_t>(events.size - possible.size());
        }
        const size_t end = std::min(at + kPieceEvents, possible.size());
        EventPacket packet;
        packet.events.assign(possible.begin() + static_cast<std::ptrdiff_t>(at),
                             possible.begin() + static_cast<std::ptrdiff_t>(end));
        if (end == possible.size()) packet.t_end_us = t_end_us;
        packet.stamp = stamp;
        packet.stamp.queued_ns = monotonic_ns();
        ring_.put(std::move(packet));
        at = end;
        first = false;
    }
}

std::vector<int64_t> ThreadedChain::push_paced(Span<const Event> events, Span<const DuePacket> packets) {
    int64_t from = 0;
    for (const DuePacket& packet : packets) {
        if (packet.end < from || packet.end > static_cast<int64_t>(events.size))
            refuse("a packet of a schedule is not among its events");
        from = packet.end;
    }
    std::vector<int64_t> late_ns;
    late_ns.reserve(packets.size);
    from = 0;
    for (const DuePacket& packet : packets) {
        const std::chrono::steady_clock::time_point due{std::chrono::nanoseconds(packet.due_ns)};
        if (!ring_.open_until(due)) break;
        Stamp stamp;
        stamp.arrived_ns = monotonic_ns();
        late_ns.push_back(stamp.arrived_ns - packet.due_ns);
        push_events({events.data + from, static_cast<size_t>(packet.end - from)}, packet.t_end_us, stamp);
        from = packet.end;
    }
    return late_ns;
}

void ThreadedChain::finish() {
    const Gate::Step step(gate_);
    ring_.finish({});
}

void ThreadedChain::decode(Span<const uint8_t> bytes, Stamp stamp, bool keep) {
    scratch_.clear();
    Status status = chain_->input().decoder()->feed(bytes, scratch_);
    put_decoded(stamp, keep);
    if (!status.ok()) ring_.finish(std::move(status));
}

// A mark says the same as the end of a packet there.
void ThreadedChain::put_decoded(Stamp stamp, bool keep) {
    events::Decoder& decoder = *chain_->input().decoder();
    stamp.queued_ns = monotonic_ns();
    size_t from = 0;
    for (const events::TimeMark& mark : decoder.marks()) {
        const size_t to = std::min(mark.index, scratch_.size());
        put(from, to, mark.t_us, stamp, keep);
        from = to;
    }
    put(from, scratch_.size(), decoder.t_end_us(), stamp, keep);
    chain_->input().forget_triggers();
}

void ThreadedChain::put(size_t from, size_t to, int64_t t_end_us, const Stamp& stamp, bool keep) {
    EventPacket packet;
    packet.events.assign(scratch_.begin() + static_cast<std::ptrdiff_t>(from),
                         scratch_.begin() + static_cast<std::ptrdiff_t>(to));
    packet.t_end_us = t_end_us;
    packet.stamp = stamp;
    keep ? ring_.keep(std::move(packet)) : ring_.put(std::move(packet));
}

void ThreadedChain::close() noexcept {
    closed_ = true;
    ring_.close();
    const std::lock_guard<std::mutex> lock(starting_);
    if (reader_) reader_->wake();
    if (thread_.joinable()) thread_.join();
}

Status ThreadedChain::poll(Result& out, bool& ready, std::chrono::milliseconds wait) noexcept {
    const auto until = std::chrono::steady_clock::now() + wait;
    for (;;) {
        {
            const std::lock_guard<std::mutex> lock(consumer_);
            Status status = advance(out, ready);
            if (!status.ok() || ready || ended_) return status;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (closed_ || tap_full_ || left.count() <= 0) return {};
        ring_.wait(left);
    }
}

Status ThreadedChain::advance(Result& out, bool& ready) noexcept {
    for (;;) {
        Status status = chain_->poll(out, ready);
        if (!status.ok() || ready) return status;
        InputQueue& input = chain_->input();
        if (tap_full_) return {};
        if (ring_.take(packet_)) {
            if (tap_most_ != 0) keep_tapped();
            chain_->lose(packet_.lost);
            input.give(packet_);
        } else if (input.finished()) {
            ended_ = true;
            return {};
        } else if (!ring_.ended()) {
            return {};
        } else if (Status end = ring_.end(); end.ok()) {
            input.finish();
        } else {
            input.fail(std::move(end));
        }
    }
}

void ThreadedChain::keep_tapped() {
    if (tapped_.events.capacity() == 0) tapped_.events.reserve(tap_most_ / sizeof(Event) + packet_.events.size());
    const int64_t row[] = {static_cast<int64_t>(packet_.events.size()), packet_.t_end_us, packet_.lost};
    tapped_.packets.insert(tapped_.packets.end(), std::begin(row), std::end(row));
    tapped_.events.insert(tapped_.events.end(), packet_.events.begin(), packet_.events.end());
    const size_t bytes = tapped_.packets.size() * sizeof(int64_t) + tapped_.events.size() * sizeof(Event);
    tap_full_ = bytes >= tap_most_;
}

void ThreadedChain::tap(size_t most) {
    const std::lock_guard<std::mutex> lock(consumer_);
    tap_most_ = most;
    tapped_ = Tapped{};
    tap_full_ = false;
}

Tapped ThreadedChain::take_tapped() {
    const std::lock_guard<std::mutex> lock(consumer_);
    tap_full_ = false;
    Tapped taken = std::exchange(tapped_, Tapped{});
    taken.events.shrink_to_fit();  // room for a whole tap was reserved, and this may be held for long
    taken.packets.shrink_to_fit();
    return taken;
}

StateTensors ThreadedChain::save_behind() {
    const std::lock_guard<std::mutex> lock(consumer_);
    StateTensors tensors;
    {
        const Gate::Pause pause(gate_);
        tensors = chain_->save();
    }
    for (auto at = tensors.begin(); at != tensors.end();)
        at = at->first.rfind("decoder/", 0) == 0 ? tensors.erase(at) : std::next(at);
    return tensors;
}

CounterMap ThreadedChain::counters() {
    const std::lock_guard<std::mutex> lock(consumer_);
    const Gate::Pause pause(gate_);
    CounterMap counters = chain_->counters();
    const PacketRing::Counts ring = ring_.counts();
    counters["events_in"] += ring.waiting + ring.dropped_oldest + ring.decimated + counts_.impossible;
    counters["pending"] += ring.waiting;
    counters["dropped.ring_full"] += ring.dropped_oldest;
    counters["dropped.decimated"] += ring.decimated;
    counters["dropped.impossible_event"] += counts_.impossible;
    counters["bytes_in"] += counts_.bytes;
    counters["packets_in"] += counts_.packets;
    counters["reader.errors"] += read_errors_;
    counters["reader.truncated_datagrams"] += truncated_datagrams_;
    return counters;
}

StateTensors ThreadedChain::save() {
    const std::lock_guard<std::mutex> lock(consumer_);
    const Gate::Pause pause(gate_);
    if (const Status end = ring_.end(); !end.ok()) throw Error(end);
    chain_->lose(ring_.take_losses());
    StateTensors tensors = chain_->save();
    const PacketRing::Counts ring = ring_.counts();
    InputQueue::Counts more;
    more.events_in = ring.waiting + ring.dropped_oldest + ring.decimated + counts_.impossible;
    more.bytes_in = counts_.bytes;
    more.packets_in = counts_.packets;
    more.impossible = counts_.impossible;
    more.ring_full = ring.dropped_oldest;
    more.decimated = ring.decimated;
    chain_->input().add_to(tensors, ring_.copy(), more, ring_.finished());
    return tensors;
}

void ThreadedChain::reset() {
    const std::lock_guard<std::mutex> lock(consumer_);
    const Gate::Pause pause(gate_);
    chain_->reset();
}

void ThreadedChain::load(const StateTensors& tensors) {
    const std::lock_guard<std::mutex> lock(consumer_);
    const Gate::Pause pause(gate_);
    const size_t raw = InputQueue::undecoded_bytes(tensors);
    if (raw > kMostRaw)
        throw Error(ErrorKind::model, "snapshot holds too much that is not decoded", "input/packets",
                    std::to_string(raw) + " bytes", "at most " + std::to_string(kMostRaw),
                    "restore it without threads, or poll until None before the snapshot");
    chain_->load(tensors);
    ring_.clear();
    counts_ = Counts{};
    read_errors_ = truncated_datagrams_ = 0;
    ended_ = false;
    const bool finished = chain_->input().take_finish();  // the end comes behind what waits in the ring
    move_waiting();
    if (finished) ring_.finish({});
}

// Bytes that wait are decoded here, so that the chain's decoder is the reader's alone.
void ThreadedChain::move_waiting() {
    for (InputQueue::Packet& packet : chain_->input().take_waiting()) {
        if (packet.raw) {
            for (size_t at = 0; at < packet.bytes.size() && !ring_.finished(); at += kPieceBytes)
                decode({packet.bytes.data() + at, std::min(kPieceBytes, packet.bytes.size() - at)}, packet.stamp, true);
            continue;
        }
        scratch_.resize(packet.bytes.size() / sizeof(Event));
        if (!scratch_.empty())
            std::memcpy(static_cast<void*>(scratch_.data()), packet.bytes.data(), packet.bytes.size());
        put(0, scratch_.size(), packet.t_end_us, packet.stamp, true);
    }
}

}  // namespace edgesnn::pipeline
