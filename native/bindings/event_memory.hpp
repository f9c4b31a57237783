// Memory of event arrays that is used again: an array of the same size as those before it costs no page faults.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "base/event.hpp"

namespace edgesnn::bindings {

class EventMemory {
  public:
    // The one of this process; it is never destroyed, since arrays may outlive everything.
    static EventMemory& shared() {
        static auto* memory = new EventMemory;
        return *memory;
    }
    // An empty vector, perhaps with room. Any thread.
    std::vector<Event> take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (spare_.empty()) return {};
        std::vector<Event> events = std::move(spare_.back());
        spare_.pop_back();
        events.clear();
        return events;
    }
    // One of at least `count` events, whatever they are: to be written over. Any thread.
    std::vector<Event> take(size_t count) {
        std::vector<Event> events;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!spare_.empty()) {
                events = std::move(spare_.back());
                spare_.pop_back();
            }
        }
        if (events.size() < count) events.resize(count);
        return events;
    }
    void give(std::vector<Event>&& events) noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (spare_.size() < kMost && events.capacity() <= kMostEvents) spare_.push_back(std::move(events));
    }

  private:
    static constexpr size_t kMost = 4;
    static constexpr size_t kMostEvents = size_t{1} << 17;  // 1.7 MB each

    EventMemory() { spare_.reserve(kMost); }

    std::mutex mutex_;
    std::vector<std::vector<Event>> spare_;
};

}  // namespace edgesnn::bindings
