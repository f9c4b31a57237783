#include "pipeline/filter_stage.hpp"

#include <algorithm>
#include <cstring>

namespace edgesnn::pipeline {
namespace {

constexpr size_t kMostHeld = 1024;  // events filtered at once

}  // namespace

FilterStage::FilterStage(const std::vector<events::Parameters>& filters, events::Area area)
    : chain_(filters, area), held_(filters.empty() ? 0 : kMostHeld) {}

size_t FilterStage::push(Span<const Event> events) {
    const size_t count = std::min(events.size, kMostHeld);
    held_count_ = chain_.push({events.data, count}, held_.data());
    taken_ = 0;
    return count;
}

void FilterStage::save(StateWriter& writer) const {
    chain_.save(writer);
    writer.put("events", reinterpret_cast<const uint8_t*>(held_.data() + taken_),
               {pending(), static_cast<int64_t>(sizeof(Event))});
}

void FilterStage::load(const StateReader& reader) {
    const std::vector<uint8_t> bytes = reader.get_array<uint8_t>("events");
    std::vector<Event> held(bytes.size() / sizeof(Event));
    if (!held.empty()) std::memcpy(static_cast<void*>(held.data()), bytes.data(), held.size() * sizeof(Event));
    chain_.load(reader);
    int64_t latest = -kTimeLimit + 1;
    bool fits = bytes.size() % sizeof(Event) == 0 && held.size() <= held_.size();
    for (const Event& event : held) {
        fits &= event.x < area().width && event.y < area().height && event.p <= 1 && event.t >= latest;
        latest = event.t;
    }
    if (!fits || (!held.empty() && latest > chain_.reached_us()))
        throw Error(ErrorKind::model, "snapshot of the filters contradicts itself", "filters/events");
    std::copy(held.begin(), held.end(), held_.begin());
    held_count_ = held.size();
    taken_ = 0;
}

}  // namespace edgesnn::pipeline
