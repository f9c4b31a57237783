#include "events/decode/guarded_decoder.hpp"

#include <algorithm>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr int64_t kLatestUs = int64_t{1} << 60;  // arithmetic on times cannot overflow

}  // namespace

GuardedDecoder::GuardedDecoder(const char* name, const char* title, DecoderOptions options, int32_t field_width,
                               int32_t field_height)
    : Decoder(name, std::move(options), field_width, field_height), title_(title) {}

Status GuardedDecoder::judge(const Event& event, Place place, std::vector<Event>& out) {
    if (event.t < 0 || event.t >= kLatestUs) return bad_record(place, "its time is no time");
    if (known() && event.t < bound_) {
        if (Status status = drop_later_than(event.t); !status.ok()) return status;
        return believe({event, place}, out);
    }
    if (Status status = drop_later_than(event.t + kAheadUs); !status.ok()) return status;
    held_.push_back({event, place});
    const bool first_pair = !known() && held_.size() > 1 && event.t - held_[held_.size() - 2].event.t <= kAheadUs;
    return held_.size() == kRun || first_pair ? settle_held(out) : Status{};
}

Status GuardedDecoder::settle_held(std::vector<Event>& out) {
    const std::vector<Held> held = std::exchange(held_, {});
    for (const Held& one : held)
        if (Status status = believe(one, out); !status.ok()) return status;
    return {};
}

// Of those that wait, the ones later than t_us are damaged: an event after them is earlier.
Status GuardedDecoder::drop_later_than(int64_t t_us) {
    Status status;
    const auto later = [t_us](const Held& one) { return one.event.t > t_us; };
    for (const Held& one : held_)
        if (status.ok() && later(one))
            status = bad_record(one.place, "its time is far ahead of those before and after it");
    held_.erase(std::remove_if(held_.begin(), held_.end(), later), held_.end());
    return status;
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
        places.insert(places.end(), {one.place.at, one.place.number});
    }
    writer.put("bound_us", bound_);
    save_records(writer, "held", events);
    writer.put("places", places.data(), {static_cast<int64_t>(held_.size()), 2});
}

void GuardedDecoder::load_guard(const StateReader& reader) {
    const auto bound = reader.get<int64_t>("bound_us");
    const std::vector<Event> events = load_events(reader, "held");
    const std::vector<int64_t> places = reader.get_array<int64_t>("places");
    const auto sane = [](const Event& e) { return e.t >= 0 && e.t < kLatestUs && e.p < 2; };
    const bool placed = std::all_of(places.begin(), places.end(), [](int64_t v) { return v >= 0 && v < kLatestUs; });
    if (bound < 0 || bound > kLatestUs + kAheadUs || events.size() >= kRun || places.size() != 2 * events.size() ||
        !placed || !std::all_of(events.begin(), events.end(), sane))
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", title_);
    bound_ = bound;
    held_.clear();
    for (size_t i = 0; i < events.size(); ++i) held_.push_back({events[i], {places[2 * i], places[2 * i + 1]}});
}

}  // namespace edgesnn::events
