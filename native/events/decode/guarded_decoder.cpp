#include "events/decode/guarded_decoder.hpp"

#include <algorithm>
#include <utility>

namespace edgesnn::events {

GuardedDecoder::GuardedDecoder(const char* name, const char* title, DecoderOptions options, int32_t field_width,
                               int32_t field_height, bool packets)
    : Decoder(name, std::move(options), field_width, field_height), title_(title), packets_(packets) {}

Status GuardedDecoder::judge(const Event& event, Place place, std::vector<Event>& out) {
    if (event.t < 0 || event.t >= kMaxUs) return bad_record(place, "its time is no time");
    const bool ahead = !known() || event.t >= bound_;
    while (!held_.empty() && (!ahead || held_.back().event.t > event.t + kAheadUs))
        if (Status status = drop_last(); !status.ok()) return status;
    if (!ahead) return believe({event, place, packet_}, out);
    held_.push_back({event, place, packet_});
    return agreed() ? settle_held(out) : Status{};
}

// Those that wait are a clock of their own.
bool GuardedDecoder::agreed() const noexcept {
    const size_t count = held_.size();
    if (!known() && count > 1 && held_[count - 1].event.t - held_[count - 2].event.t <= kAheadUs) return true;
    const bool spread = !packets_ || held_.front().packet != held_.back().packet;
    return (count >= kRun && spread) || count >= kHeldEvents;
}

Status GuardedDecoder::settle_held(std::vector<Event>& out) {
    const std::vector<Held> held = std::exchange(held_, {});
    for (const Held& one : held)
        if (Status status = believe(one, out); !status.ok()) return status;
    return {};
}

Status GuardedDecoder::drop_last() {
    const Place place = held_.back().place;
    held_.pop_back();
    return bad_record(place, "its time is far ahead of those before and after it");
}

Status GuardedDecoder::believe(const Held& held, std::vector<Event>& out) {
    const Event& event = held.event;
    if (known() && event.t >= bound_) ++counters_.time_resyncs;
    bound_ = moved(bound_, event.t);
    const bool wide = event.x >= width_;
    if (!wide && event.y < height_) {
        append_marked(&event, 1, out);
        return {};
    }
    ++counters_.out_of_range;
    if (!strict()) return {};
    const auto value = static_cast<int16_t>(wide ? event.x : event.y);  // some formats have a sign
    return outside(held.place.at, std::string(title_) + " event " + std::to_string(held.place.number), wide ? "x" : "y",
                   value);
}

void GuardedDecoder::trigger(int64_t t_us, uint8_t id, uint8_t p) {
    triggers_.push_back({t_us, id, p});
    if (t_end_us_ != kNoTime && t_us <= t_end_us_ + kAheadUs) reach(t_us);
}

Status GuardedDecoder::bad_record(Place place, const std::string& what) {
    ++counters_.bad_words;
    if (!strict()) return {};
    return damage(place.at, std::string(title_) + " event " + std::to_string(place.number) + ": " + what);
}

void GuardedDecoder::save_guard(StateWriter& writer) const {
    std::vector<Event> events;
    std::vector<int64_t> places;
    for (const Held& one : held_) {
        events.push_back(one.event);
        places.insert(places.end(), {one.place.at, one.place.number, one.packet});
    }
    const int64_t numbers[] = {bound_, packet_};
    writer.put("guard", numbers, {2});
    save_records(writer, "held", events);
    writer.put("places", places.data(), {static_cast<int64_t>(held_.size()), 3});
}

void GuardedDecoder::load_guard(const StateReader& reader) {
    const std::vector<int64_t> numbers = reader.get_array<int64_t>("guard");
    const std::vector<Event> events = load_events(reader, "held");
    const std::vector<int64_t> places = reader.get_array<int64_t>("places");
    const auto sane = [](const Event& e) { return e.t >= 0 && e.t < kMaxUs && e.p < 2; };
    const bool placed = std::all_of(places.begin(), places.end(), [](int64_t v) { return v >= 0 && v < kMaxUs; });
    const bool guarded = numbers.size() == 2 && numbers[0] >= 0 && numbers[0] <= kMaxUs + kAheadUs + 1 &&
                         numbers[1] >= 0 && numbers[1] < kMaxUs;
    if (!guarded || events.size() >= kHeldEvents || places.size() != 3 * events.size() || !placed ||
        !std::all_of(events.begin(), events.end(), sane))
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", title_);
    bound_ = numbers[0];
    packet_ = numbers[1];
    held_.clear();
    for (size_t i = 0; i < events.size(); ++i)
        held_.push_back({events[i], {places[3 * i], places[3 * i + 1]}, places[3 * i + 2]});
}

}  // namespace edgesnn::events
