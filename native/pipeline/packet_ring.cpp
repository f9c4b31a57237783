#include "pipeline/packet_ring.hpp"

#include <string>
#include <utility>

namespace edgesnn::pipeline {

PacketRing::PacketRing(const RingOptions& options) : options_(options) {
    if (options.events < kLeastRing || options.events > kMostRing)
        throw Error(ErrorKind::usage, "not a size of a ring", "events", std::to_string(options.events),
                    std::to_string(kLeastRing) + " to " + std::to_string(kMostRing) + " events");
    if (options.keep_every < 2)
        throw Error(ErrorKind::usage, "not a factor of decimation", "keep_every", std::to_string(options.keep_every),
                    "at least 2");
}

bool PacketRing::wait_for_room() {
    if (options_.when_full != WhenFull::block) return true;
    std::unique_lock<std::mutex> lock(mutex_);
    room_.wait(lock, [this] { return closed_ || used_ < options_.events; });
    return !closed_;
}

void PacketRing::put(EventPacket packet) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (options_.when_full == WhenFull::decimate && used_ > options_.events / 2) decimate(packet);
    if (options_.when_full != WhenFull::block) drop_oldest(packet);
    append(std::move(packet));
}

void PacketRing::keep(EventPacket packet) {
    const std::lock_guard<std::mutex> lock(mutex_);
    append(std::move(packet));
}

void PacketRing::append(EventPacket packet) {
    const auto events = static_cast<int64_t>(packet.events.size());
    const size_t costs = cost(packet);
    packets_.push_back(std::move(packet));
    used_ += costs;
    counts_.waiting += events;
    news_.notify_one();
}

void PacketRing::decimate(EventPacket& packet) noexcept {
    size_t kept = 0;
    for (const Event& event : packet.events) {
        if (phase_ == 0) packet.events[kept++] = event;
        phase_ = (phase_ + 1) % options_.keep_every;
    }
    const auto lost = static_cast<int64_t>(packet.events.size() - kept);
    packet.events.resize(kept);
    packet.lost += lost;
    counts_.decimated += lost;
}

void PacketRing::drop_oldest(EventPacket& packet) noexcept {
    while (!packets_.empty() && used_ + cost(packet) > options_.events) {
        EventPacket& oldest = packets_.front();
        const auto events = static_cast<int64_t>(oldest.events.size());
        counts_.waiting -= events;
        counts_.dropped_oldest += events;
        const int64_t lost = oldest.lost + events;
        used_ -= cost(oldest);
        packets_.pop_front();
        (packets_.empty() ? packet : packets_.front()).lost += lost;
    }
}

void PacketRing::finish(Status end) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (finished_) return;
    finished_ = true;
    end_ = std::move(end);
    news_.notify_all();
}

void PacketRing::close() noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    room_.notify_all();
    news_.notify_all();
    closing_.notify_all();
}

void PacketRing::wait(std::chrono::milliseconds most) {
    std::unique_lock<std::mutex> lock(mutex_);
    news_.wait_for(lock, most, [this] { return closed_ || finished_ || !packets_.empty(); });
}

bool PacketRing::open_until(std::chrono::steady_clock::time_point when) {
    std::unique_lock<std::mutex> lock(mutex_);
    return !closing_.wait_until(lock, when, [this] { return closed_; });
}

bool PacketRing::take(EventPacket& packet) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (packets_.empty()) return false;
    packet = std::move(packets_.front());
    packets_.pop_front();
    used_ -= cost(packet);
    counts_.waiting -= static_cast<int64_t>(packet.events.size());
    room_.notify_all();
    return true;
}

bool PacketRing::ended() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return finished_ && packets_.empty();
}

bool PacketRing::finished() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return finished_;
}

Status PacketRing::end() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return end_;
}

PacketRing::Counts PacketRing::counts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_;
}

std::deque<EventPacket> PacketRing::copy() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return packets_;
}

int64_t PacketRing::take_losses() {
    const std::lock_guard<std::mutex> lock(mutex_);
    int64_t losses = 0;
    for (EventPacket& packet : packets_) losses += std::exchange(packet.lost, 0);
    return losses;
}

void PacketRing::clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    packets_.clear();
    used_ = 0;
    phase_ = 0;
    counts_ = Counts{};
    end_ = Status{};
    finished_ = false;
    room_.notify_all();
}

}  // namespace edgesnn::pipeline
