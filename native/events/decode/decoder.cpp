#include "events/decode/decoder.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "events/decode/aedat2.hpp"
#include "events/decode/aedat31.hpp"
#include "events/decode/csv.hpp"
#include "events/decode/dat.hpp"
#include "events/decode/ecf.hpp"
#include "events/decode/es.hpp"
#include "events/decode/evt2.hpp"
#include "events/decode/evt21.hpp"
#include "events/decode/evt3.hpp"
#include "events/decode/nmnist.hpp"
#include "events/decode/ros.hpp"

namespace edgesnn::events {
namespace {

constexpr int64_t Counters::* kCounters[] = {
    &Counters::bad_words,     &Counters::out_of_range,    &Counters::unplaced_events, &Counters::time_resyncs,
    &Counters::time_backward, &Counters::truncated_bytes, &Counters::lost_packets};
constexpr size_t kCounterCount = sizeof(kCounters) / sizeof(kCounters[0]);

template <typename T>
void save_packed(StateWriter& writer, const char* name, const std::vector<T>& records) {
    writer.put(name, reinterpret_cast<const uint8_t*>(records.data()),
               {static_cast<int64_t>(records.size()), static_cast<int64_t>(sizeof(T))});
}

template <typename T>
std::vector<T> load_packed(const StateReader& reader, const char* name) {
    const std::vector<uint8_t> bytes = reader.get_array<uint8_t>(name);
    if (bytes.size() % sizeof(T) != 0)
        throw Error(ErrorKind::model, "snapshot of a decoder holds half a record", name, std::to_string(bytes.size()));
    std::vector<T> records(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(static_cast<void*>(records.data()), bytes.data(), bytes.size());
    return records;
}

template <typename T>
std::unique_ptr<Decoder> make(const DecoderOptions& options) {
    return std::make_unique<T>(options);
}

struct Maker {
    const char* name;
    std::unique_ptr<Decoder> (*make)(const DecoderOptions&);
};
// clang-format off: one a line
constexpr Maker kMakers[] = {
    {"aedat2", make<Aedat2Decoder>},
    {"aedat31", make<Aedat31Decoder>},
    {"csv", make<CsvDecoder>},
    {"dat", make<DatDecoder>},
    {"ecf", make<EcfDecoder>},
    {"es", make<EsDecoder>},
    {"evt2", make<Evt2Decoder>},
    {"evt21", make<Evt21Decoder>},
    {"evt3", make<Evt3Decoder>},
    {"nmnist", make<NmnistDecoder>},
    {"ros", make<RosDecoder>},
};
// clang-format on

// Runs `step`, turning what the standard library may throw into a Status.
template <typename Step>
Status guarded(Step&& step) noexcept {
    try {
        return step();
    } catch (const std::exception&) {
        Status status;
        status.kind = ErrorKind::internal;
        status.what = "no memory";  // short enough to need none
        return status;
    }
}

}  // namespace

Decoder::Decoder(const char* name, DecoderOptions options, int32_t field_width, int32_t field_height)
    : name_(name),
      options_(std::move(options)),
      width_(options_.width == 0 ? field_width : std::min(options_.width, field_width)),
      height_(options_.height == 0 ? field_height : std::min(options_.height, field_height)) {}

void Decoder::check_variant(std::initializer_list<const char*> possible) const {
    std::string names;
    for (const char* name : possible) {
        if (options_.variant == name) return;
        names += (names.empty() ? "'" : ", '") + std::string(name) + "'";
    }
    throw Error(ErrorKind::usage, std::string("no such variant of ") + name_, "variant", "'" + options_.variant + "'",
                names);
}

Status Decoder::feed(Span<const uint8_t> bytes, std::vector<Event>& out) noexcept {
    return guarded([&]() -> Status {
        marks_.clear();
        if (!failed_.ok() || bytes.empty()) return failed_;
        return failed_ = decode(bytes, out);
    });
}

Status Decoder::finish(std::vector<Event>& out) noexcept {
    return guarded([&]() -> Status {
        marks_.clear();
        if (!failed_.ok()) return failed_;
        return failed_ = settle(out);
    });
}

void Decoder::take_triggers(std::vector<Trigger>& out) {
    out.insert(out.end(), triggers_.begin(), triggers_.end());
    triggers_.clear();
}

void Decoder::append_marked(const Event* events, size_t count, std::vector<Event>& out) {
    if (count != 0 && events[0].t < t_end_us_) marks_.push_back({out.size(), t_end_us_});
    append(events, count, out);
}

void Decoder::append_rising(const Event* events, size_t count, std::vector<Event>& out) {
    if (events[0].t < t_end_us_) marks_.push_back({out.size(), t_end_us_});
    last_t_us_ = events[count - 1].t;
    reach(last_t_us_);
    out.insert(out.end(), events, events + count);
}

void Decoder::append(const Event* events, size_t count, std::vector<Event>& out) {
    int64_t last = last_t_us_;
    for (size_t i = 0; i < count; ++i) {
        const int64_t t = events[i].t;
        if (t < last) {
            ++counters_.time_backward;
            reach(last);
        }
        last = t;
    }
    last_t_us_ = last;
    reach(last);
    out.insert(out.end(), events, events + count);
}

Status Decoder::damage(int64_t position, std::string what, std::string hint) const {
    Status status;
    status.kind = ErrorKind::recording;
    status.what = std::move(what);
    status.where = options_.where;
    status.offset = options_.offset + position;
    status.hint = std::move(hint);
    return status;
}

Status Decoder::outside(int64_t position, const std::string& word, const char* axis, int64_t value) const {
    const std::string size = std::to_string(width_) + "x" + std::to_string(height_);
    const char* what = options_.width == 0 ? " range of the format" : " sensor";
    return damage(position, word + ": " + axis + "=" + std::to_string(value) + " is outside the " + size + what,
                  "if the sensor size is wrong pass --sensor, to go on pass --on-corrupt=skip");
}

void Decoder::save(StateWriter& writer) const {
    int64_t values[kCounterCount];
    for (size_t i = 0; i < kCounterCount; ++i) values[i] = counters_.*kCounters[i];
    writer.put("format", reinterpret_cast<const uint8_t*>(name_), {static_cast<int64_t>(std::strlen(name_))});
    writer.put("counters", values, {static_cast<int64_t>(kCounterCount)});
    writer.put("t_end_us", t_end_us_);
    writer.put("last_t_us", last_t_us_);
    save_records(writer, "triggers", triggers_);
    save_format(writer);
}

void Decoder::load(const StateReader& reader) {
    const std::vector<uint8_t> format = reader.get_array<uint8_t>("format");
    if (const std::string found(format.begin(), format.end()); found != name_)
        throw Error(ErrorKind::model, "snapshot of a decoder of another format", "format", found, name_);
    const std::vector<int64_t> values = reader.get_counts("counters", kCounterCount);
    const int64_t t_end_us = reader.get<int64_t>("t_end_us");
    const int64_t last_t_us = reader.get<int64_t>("last_t_us");
    for (const int64_t t_us : {t_end_us, last_t_us})
        if (t_us != kNoTime && (t_us <= -kMaxUs || t_us >= kMaxUs))
            throw Error(ErrorKind::model, "snapshot of a decoder holds an impossible time", "t_end_us",
                        std::to_string(t_us));
    std::vector<Trigger> triggers = load_triggers(reader, "triggers");
    load_format(reader);
    for (size_t i = 0; i < kCounterCount; ++i) counters_.*kCounters[i] = values[i];
    t_end_us_ = t_end_us;
    last_t_us_ = last_t_us;
    triggers_ = std::move(triggers);
    failed_ = Status{};
}

void save_records(StateWriter& writer, const char* name, const std::vector<Event>& records) {
    save_packed(writer, name, records);
}
void save_records(StateWriter& writer, const char* name, const std::vector<Trigger>& records) {
    save_packed(writer, name, records);
}
std::vector<Event> load_events(const StateReader& reader, const char* name) {
    return load_packed<Event>(reader, name);
}
std::vector<Trigger> load_triggers(const StateReader& reader, const char* name) {
    return load_packed<Trigger>(reader, name);
}

std::unique_ptr<Decoder> make_decoder(const std::string& name, const DecoderOptions& options) {
    const bool known = options.width > 0 && options.height > 0;
    const bool unknown = options.width == 0 && options.height == 0;
    if (!(known || unknown) || options.width > 65536 || options.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor",
                    std::to_string(options.width) + "x" + std::to_string(options.height), "1x1 to 65536x65536");
    std::string names;
    for (const Maker& maker : kMakers) {
        if (name == maker.name) return maker.make(options);
        names += (names.empty() ? "" : ", ") + std::string(maker.name);
    }
    throw Error(ErrorKind::usage, "no native decoder of this name", {}, "'" + name + "'", "one of " + names);
}

}  // namespace edgesnn::events
