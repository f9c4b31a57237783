#include "pipeline/input_queue.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "events/windows/window_cutter.hpp"

namespace edgesnn::pipeline {
namespace {

std::vector<uint8_t> packed(Span<const Event> events) {
    std::vector<uint8_t> bytes(events.size * sizeof(Event));
    if (!bytes.empty()) std::memcpy(bytes.data(), events.data, bytes.size());
    return bytes;
}

Event event_at(const std::vector<uint8_t>& bytes, size_t index) noexcept {
    Event event;
    std::memcpy(&event, bytes.data() + index * sizeof(Event), sizeof(Event));
    return event;
}

std::string describe(const Event& event) {
    return "t=" + std::to_string(event.t) + " x=" + std::to_string(event.x) + " y=" + std::to_string(event.y) +
           " p=" + std::to_string(event.p);
}

[[noreturn]] void refuse(const char* name) {
    throw Error(ErrorKind::model, "snapshot of the input contradicts itself", std::string("input/") + name);
}

}  // namespace

InputQueue::InputQueue(const InputOptions& options, std::unique_ptr<events::Decoder> decoder)
    : options_(options), decoder_(std::move(decoder)) {}

bool InputQueue::possible(const Event& event) const noexcept {
    return event.x < options_.width && event.y < options_.height && event.p <= 1 && event.t < kTimeLimit &&
           event.t > -kTimeLimit;
}

void InputQueue::push_bytes(Span<const uint8_t> bytes, Stamp stamp) {
    if (decoder_ == nullptr)
        throw Error(ErrorKind::usage, "bytes were pushed, but no format is known", "push", {}, {},
                    "name the format, or push event arrays");
    Packet packet;
    packet.raw = true;
    packet.bytes.assign(bytes.begin(), bytes.end());
    packet.stamp = stamp;
    enqueue(std::move(packet));
    counts_.bytes_in += static_cast<int64_t>(bytes.size);
}

void InputQueue::push_events(Span<const Event> events, int64_t t_end_us, Stamp stamp) {
    Packet packet;
    packet.t_end_us = t_end_us;
    packet.stamp = stamp;
    const std::vector<Event> kept = possible_events(events);
    packet.bytes = packed({kept.data(), kept.size()});
    enqueue(std::move(packet));
    counts_.events_in += static_cast<int64_t>(events.size);
    counts_.impossible += static_cast<int64_t>(events.size - kept.size());
}

std::vector<Event> InputQueue::possible_events(Span<const Event> events) const {
    const auto fits = [this](const Event& e) { return possible(e); };
    const auto bad = std::find_if_not(events.begin(), events.end(), fits);
    if (bad == events.end()) return {events.begin(), events.end()};
    if (options_.strict)
        throw Error(
            ErrorKind::recording, "event is impossible",
            "event " + std::to_string(bad - events.begin()) + " of the packet", describe(*bad),
            "x and y inside " + std::to_string(options_.width) + "x" + std::to_string(options_.height) + ", p 0 or 1",
            "if the sensor size is wrong pass --sensor, to go on pass --on-corrupt=skip");
    std::vector<Event> kept;
    std::copy_if(events.begin(), events.end(), std::back_inserter(kept), fits);
    return kept;
}

void InputQueue::enqueue(Packet packet) {
    if (finished_) throw Error(ErrorKind::usage, "a packet was pushed after the end of the stream", "push");
    if (!packets_.empty() && waiting_bytes_ + packet.bytes.size() > kWaitingBytes)
        throw Error(ErrorKind::usage, "too much input waits", "push", std::to_string(waiting_bytes_) + " bytes",
                    "at most " + std::to_string(kWaitingBytes), "poll until it returns None between two pushes");
    ++counts_.packets_in;
    waiting_bytes_ += packet.bytes.size();
    packets_.push_back(std::move(packet));
}

Span<const Event> InputQueue::events() const noexcept {
    const size_t end = mark_ < marks_.size() ? std::min(marks_[mark_].index, piece_.size()) : piece_.size();
    return {piece_.data() + taken_, end - taken_};
}

int64_t InputQueue::time_us() const noexcept {
    return mark_ < marks_.size() ? marks_[mark_].t_us : piece_end_us_;
}

Status InputQueue::next(bool& more) {
    more = true;
    if (mark_ < marks_.size()) {
        ++mark_;
        return {};
    }
    if (!failure_.ok()) return failure_;
    piece_.clear();
    marks_.clear();
    taken_ = mark_ = 0;
    if (!packets_.empty()) {
        open(packets_.front());
    } else if (finished_ && !settled_ && decoder_ != nullptr) {
        settled_ = true;
        failure_ = decoder_->finish(piece_);
        take_decoded();
    } else {
        more = false;
    }
    return {};
}

void InputQueue::open(Packet& packet) {
    stamp_ = packet.stamp;
    if (packet.raw) {
        const size_t size = std::min(kPieceBytes, packet.bytes.size() - decoded_bytes_);
        failure_ = decoder_->feed({packet.bytes.data() + decoded_bytes_, size}, piece_);
        decoded_bytes_ += size;
        take_decoded();
        if (decoded_bytes_ < packet.bytes.size()) return;
    } else {
        piece_.resize(packet.bytes.size() / sizeof(Event));
        if (!piece_.empty()) std::memcpy(static_cast<void*>(piece_.data()), packet.bytes.data(), packet.bytes.size());
        piece_end_us_ = packet.t_end_us;
    }
    waiting_bytes_ -= packet.bytes.size();
    decoded_bytes_ = 0;
    packets_.pop_front();
}

void InputQueue::take_decoded() {
    marks_ = decoder_->marks();
    piece_end_us_ = decoder_->t_end_us();
    counts_.events_in += static_cast<int64_t>(piece_.size());
    forget_triggers();
}

void InputQueue::forget_triggers() {
    std::vector<Trigger> unused;
    decoder_->take_triggers(unused);
}

void InputQueue::give(EventPacket& packet) {
    piece_.swap(packet.events);
    marks_.clear();
    taken_ = mark_ = 0;
    piece_end_us_ = packet.t_end_us;
    stamp_ = packet.stamp;
    counts_.events_in += static_cast<int64_t>(piece_.size());
}

std::deque<InputQueue::Packet> InputQueue::take_waiting() {
    for (const Packet& packet : packets_)
        if (!packet.raw) counts_.events_in -= static_cast<int64_t>(packet.bytes.size() / sizeof(Event));
    waiting_bytes_ = 0;
    return std::exchange(packets_, {});
}

int64_t InputQueue::pending() const noexcept {
    size_t events = piece_.size() - taken_;
    for (const Packet& packet : packets_)
        if (!packet.raw) events += packet.bytes.size() / sizeof(Event);
    return static_cast<int64_t>(events);
}

void InputQueue::save(StateWriter& writer) const {
    if (!failure_.ok()) throw Error(failure_);
    const int64_t flags[] = {finished_, settled_, piece_end_us_, stamp_.given, stamp_.stamp_ns};
    writer.put("state", flags, {5});
    const int32_t sensor[] = {options_.width, options_.height};
    writer.put("sensor", sensor, {2});
    writer.put("events", reinterpret_cast<const uint8_t*>(piece_.data() + taken_),
               {static_cast<int64_t>(piece_.size() - taken_), static_cast<int64_t>(sizeof(Event))});
    std::vector<int64_t> marks;
    for (size_t i = mark_; i < marks_.size(); ++i) {
        marks.push_back(static_cast<int64_t>(marks_[i].index - taken_));
        marks.push_back(marks_[i].t_us);
    }
    writer.put("marks", marks.data(), {static_cast<int64_t>(marks.size() / 2), 2});
    save_packets(writer);
    const int64_t counts[] = {counts_.events_in, counts_.bytes_in, counts_.packets_in, counts_.impossible};
    const int64_t ring[] = {counts_.ring_full, counts_.decimated};
    writer.section("counters");
    writer.put("input", counts, {4});
    writer.put("ring", ring, {2});
    if (decoder_ == nullptr) return;
    writer.section("decoder");
    decoder_->save(writer);
}

void InputQueue::add_to(StateTensors& tensors, const std::deque<EventPacket>& packets, const Counts& counts,
                        bool finished) const {
    const auto append = [](StateTensor& tensor, const void* data, size_t size) {
        const auto* bytes = static_cast<const uint8_t*>(data);
        tensor.bytes.insert(tensor.bytes.end(), bytes, bytes + size);
    };
    StateTensor& rows = tensors.at("input/packets");
    StateTensor& bytes = tensors.at("input/bytes");
    for (const EventPacket& packet : packets) {
        const size_t size = packet.events.size() * sizeof(Event);
        const int64_t row[] = {0, static_cast<int64_t>(size), packet.t_end_us, packet.stamp.given,
                               packet.stamp.stamp_ns};
        append(rows, row, sizeof row);
        append(bytes, packet.events.data(), size);
        ++rows.shape[0];
    }
    bytes.shape[0] = static_cast<int64_t>(bytes.bytes.size());
    StateWriter writer("counters");
    const int64_t input[] = {counts_.events_in + counts.events_in, counts_.bytes_in + counts.bytes_in,
                             counts_.packets_in + counts.packets_in, counts_.impossible + counts.impossible};
    const int64_t ring[] = {counts_.ring_full + counts.ring_full, counts_.decimated + counts.decimated};
    writer.put("input", input, {4});
    writer.put("ring", ring, {2});
    writer.section("input");
    const int64_t flags[] = {finished_ || finished, settled_, piece_end_us_, stamp_.given, stamp_.stamp_ns};
    writer.put("state", flags, {5});
    for (const auto& [name, tensor] : writer.tensors()) tensors[name] = tensor;
}

size_t InputQueue::undecoded_bytes(const StateTensors& tensors) {
    const std::vector<int64_t> rows = StateReader(tensors, "input").get_array<int64_t>("packets");
    size_t bytes = 0;
    for (size_t i = 0; i + 4 < rows.size(); i += 5)
        if (rows[i] != 0 && rows[i + 1] > 0) bytes += static_cast<size_t>(rows[i + 1]);
    return bytes;
}

// A packet is a row (raw, size, t_end_us, stamp given, stamp_ns); their bytes follow one another.
void InputQueue::save_packets(StateWriter& writer) const {
    std::vector<int64_t> rows;
    std::vector<uint8_t> bytes;
    size_t skip = decoded_bytes_;
    for (const Packet& packet : packets_) {
        bytes.insert(bytes.end(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(skip), packet.bytes.end());
        const int64_t row[] = {packet.raw, static_cast<int64_t>(packet.bytes.size() - skip), packet.t_end_us,
                               packet.stamp.given, packet.stamp.stamp_ns};
        rows.insert(rows.end(), std::begin(row), std::end(row));
        skip = 0;
    }
    writer.put("packets", rows.data(), {static_cast<int64_t>(packets_.size()), 5});
    writer.put("bytes", bytes.data(), {static_cast<int64_t>(bytes.size())});
}

void InputQueue::load(const StateReader& reader) {
    const std::vector<int64_t> state = reader.get_array<int64_t>("state");
    const std::vector<uint8_t> events = reader.get_array<uint8_t>("events");
    const std::vector<int64_t> marks = reader.get_array<int64_t>("marks");
    if (state.size() != 5) refuse("state");
    if (reader.get_array<int32_t>("sensor") != std::vector<int32_t>{options_.width, options_.height})
        throw Error(ErrorKind::model, "snapshot is of another sensor size", "input/sensor");
    if (events.size() % sizeof(Event) != 0 || events.size() > kWaitingBytes) refuse("events");
    std::deque<Packet> packets = load_packets(reader);
    piece_.resize(events.size() / sizeof(Event));
    for (size_t i = 0; i < piece_.size(); ++i) {
        piece_[i] = event_at(events, i);
        if (!possible(piece_[i])) refuse("events");
    }
    load_marks(marks);
    finished_ = state[0] != 0, settled_ = state[1] != 0, piece_end_us_ = state[2];
    stamp_ = {state[3] != 0, state[4], 0};
    packets_ = std::move(packets);
    waiting_bytes_ = 0;
    for (const Packet& packet : packets_) waiting_bytes_ += packet.bytes.size();
    taken_ = decoded_bytes_ = 0;
    failure_ = Status{};
}

void InputQueue::load_marks(const std::vector<int64_t>& marks) {
    if (marks.size() % 2 != 0) refuse("marks");
    marks_.clear();
    mark_ = 0;
    size_t last = 0;
    for (size_t i = 0; i < marks.size(); i += 2) {
        const auto index = static_cast<size_t>(marks[i]);
        if (index < last || index > piece_.size()) refuse("marks");
        marks_.push_back({index, marks[i + 1]});
        last = index;
    }
}

std::deque<InputQueue::Packet> InputQueue::load_packets(const StateReader& reader) const {
    const std::vector<int64_t> rows = reader.get_array<int64_t>("packets");
    const std::vector<uint8_t> bytes = reader.get_array<uint8_t>("bytes");
    if (rows.size() % 5 != 0) refuse("packets");
    std::deque<Packet> packets;
    size_t used = 0;
    for (size_t i = 0; i < rows.size(); i += 5) {
        const auto size = static_cast<size_t>(rows[i + 1]);
        if (rows[i + 1] < 0 || size > bytes.size() - used) refuse("packets");
        Packet packet;
        packet.raw = rows[i] != 0;
        packet.t_end_us = rows[i + 2];
        packet.stamp = {rows[i + 3] != 0, rows[i + 4], 0};
        packet.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(used),
                            bytes.begin() + static_cast<std::ptrdiff_t>(used + size));
        if (packet.raw ? decoder_ == nullptr : size % sizeof(Event) != 0) refuse("packets");
        for (size_t e = 0; !packet.raw && e < size / sizeof(Event); ++e)
            if (!possible(event_at(packet.bytes, e))) refuse("packets");
        used += size;
        packets.push_back(std::move(packet));
    }
    if (used != bytes.size()) refuse("bytes");
    return packets;
}

void InputQueue::load_counters(const StateTensors& tensors) {
    const std::vector<int64_t> counts = StateReader(tensors, "counters").get_counts("input", 4);
    std::vector<int64_t> ring = {0, 0};  // snapshots made before there was one
    if (tensors.count("counters/ring") != 0) ring = StateReader(tensors, "counters").get_counts("ring", 2);
    if (decoder_ != nullptr) decoder_->load(StateReader(tensors, "decoder"));
    counts_ = {counts[0], counts[1], counts[2], counts[3], ring[0], ring[1]};
}

void InputQueue::count(CounterMap& counters) const {
    counters["events_in"] += counts_.events_in;
    counters["bytes_in"] += counts_.bytes_in;
    counters["packets_in"] += counts_.packets_in;
    counters["dropped.impossible_event"] += counts_.impossible;
    counters["dropped.ring_full"] += counts_.ring_full;
    counters["dropped.decimated"] += counts_.decimated;
    if (decoder_ == nullptr) return;
    const events::Counters& found = decoder_->counters();
    counters["decoder.bad_words"] += found.bad_words;
    counters["decoder.out_of_range"] += found.out_of_range;
    counters["decoder.unplaced_events"] += found.unplaced_events;
    counters["decoder.time_resyncs"] += found.time_resyncs;
    counters["decoder.time_backward"] += found.time_backward;
    counters["decoder.truncated_bytes"] += found.truncated_bytes;
    counters["decoder.lost_packets"] += found.lost_packets;
}

}  // namespace edgesnn::pipeline
