#include "events/filters/chain.hpp"

#include <algorithm>

namespace edgesnn::events {
namespace {

constexpr size_t kBlock = 1024;  // events that go through all filters together: 13 KB, inside the first cache

uint64_t hash_of(const std::string& bytes) {  // FNV-1a
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001B3u;
    return hash;
}

std::string identity_of(const std::vector<Parameters>& filters, Area area) {
    std::string text = std::to_string(area.width) + "x" + std::to_string(area.height);
    for (const Parameters& filter : filters) {
        text += " " + filter.filter;
        for (const auto& [name, value] : filter.values) text += ":" + name + "=" + std::to_string(value);
        if (!filter.bits.empty()) text += ":bits=" + std::to_string(hash_of(filter.bits));
    }
    return text;
}

}  // namespace

FilterChain::FilterChain(const std::vector<Parameters>& filters, Area area)
    : area_(area), identity_(identity_of(filters, area)) {
    if (area.width < 1 || area.height < 1 || area.width > 65536 || area.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor",
                    std::to_string(area.width) + "x" + std::to_string(area.height), "1x1 to 65536x65536");
    for (const Parameters& filter : filters) filters_.push_back({make_filter(filter, area_), filter.filter});
    if (filters.size() > 1) between_[0].resize(kBlock), between_[1].resize(kBlock);
}

size_t FilterChain::push(Span<const Event> events, Event* out) {
    bool rise = true;
    for (size_t i = 1; i < events.size; ++i) rise &= events[i].t >= events[i - 1].t;
    if (rise) return push_rising(events, out);
    size_t passed = 0;
    for (size_t begin = 0; begin < events.size; begin += kBlock) {
        const size_t count = std::min(kBlock, events.size - begin);
        passed += pass(clamped({events.data + begin, count}), count, out + passed);
    }
    return passed;
}

size_t FilterChain::push_rising(Span<const Event> events, Event* out) {
    size_t begin = 0, passed = 0;
    for (; begin < events.size && events[begin].t < reached_us_; begin += std::min(kBlock, events.size - begin)) {
        const size_t count = std::min(kBlock, events.size - begin);
        passed += pass(clamped({events.data + begin, count}), count, out + passed);
    }
    for (; begin < events.size; begin += kBlock)
        passed += pass(events.data + begin, std::min(kBlock, events.size - begin), out + passed);
    const int64_t last_us =
        events.empty() ? reached_us_ : events[events.size - 1].t;  // no reference to a packed member
    reached_us_ = std::max(reached_us_, last_us);
    return passed;
}

size_t FilterChain::pass(const Event* from, size_t count, Event* out) noexcept {
    if (filters_.empty()) std::copy_n(from, count, out);
    for (size_t i = 0; i < filters_.size(); ++i) {
        Event* const to = i + 1 == filters_.size() ? out : between_[i % 2].data();
        const size_t kept = filters_[i].filter->apply(from, to, count);
        filters_[i].dropped += static_cast<int64_t>(count - kept);
        from = to;
        count = kept;
    }
    return count;
}

const Event* FilterChain::clamped(Span<const Event> events) {
    clamped_.resize(events.size);
    for (size_t i = 0; i < events.size; ++i) {
        const int64_t t_us = events[i].t;
        time_clamped_ += t_us < reached_us_;
        reached_us_ = std::max(reached_us_, t_us);
        clamped_[i] = events[i];
        clamped_[i].t = reached_us_;
    }
    return clamped_.data();
}

void FilterChain::advance(int64_t t_us) noexcept {
    reached_us_ = std::max(reached_us_, std::min(t_us, kTimeLimit - 1));
}

int64_t FilterChain::dropped() const noexcept {
    int64_t dropped = 0;
    for (const Link& link : filters_) dropped += link.dropped;
    return dropped;
}

void FilterChain::count(CounterMap& counters) const {
    for (const Link& link : filters_) counters["dropped." + link.name] += link.dropped;
    counters["time_clamped"] += time_clamped_;
}

void FilterChain::save(StateWriter& writer) const {
    std::vector<int64_t> counts{time_clamped_};
    for (const Link& link : filters_) counts.push_back(link.dropped);
    writer.put("chain", reinterpret_cast<const uint8_t*>(identity_.data()), {static_cast<int64_t>(identity_.size())});
    writer.put("reached", reached_us_);
    writer.put("counters", counts.data(), {static_cast<int64_t>(counts.size())});
    for (size_t i = 0; i < filters_.size(); ++i) filters_[i].filter->save(writer, state_name(i, filters_[i]));
}

void FilterChain::load(const StateReader& reader) {
    const std::vector<uint8_t> chain = reader.get_array<uint8_t>("chain");
    if (std::string(chain.begin(), chain.end()) != identity_)
        throw Error(ErrorKind::model, "snapshot is of other filters", "filters/chain",
                    std::string(chain.begin(), chain.end()).substr(0, 200), identity_);
    const auto reached_us = reader.get<int64_t>("reached");
    const std::vector<int64_t> counts = reader.get_counts("counters", filters_.size() + 1);
    if (reached_us < -kTimeLimit || reached_us >= kTimeLimit)
        throw Error(ErrorKind::model, "snapshot of the filters contradicts itself", "filters/reached");
    for (size_t i = 0; i < filters_.size(); ++i) filters_[i].filter->load(reader, state_name(i, filters_[i]));
    reached_us_ = reached_us;
    time_clamped_ = counts[0];
    for (size_t i = 0; i < filters_.size(); ++i) filters_[i].dropped = counts[i + 1];
}

}  // namespace edgesnn::events
