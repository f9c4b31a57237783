#include "events/decode/aedat2.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr Aedat2Decoder::Camera kCameras[] = {
    {"", true, 0, 0},
    {"dvs128", false, 128, 128},
    {"davis128", true, 128, 128},
    {"davis208", true, 208, 192},
    {"davis240", true, 240, 180},
    {"davis346", true, 346, 260},
    {"davis640", true, 640, 480},
};
constexpr int64_t kPeriod = int64_t{1} << 32;
constexpr int64_t kQuarter = kPeriod / 4;

// DAVIS: a sample of the frame or the IMU; a trigger. DVS128: nothing; a trigger.
constexpr uint32_t kDavisSample = 0x80000000;
constexpr uint32_t kDavisTrigger = 0x400;
constexpr uint32_t kDvsUnused = 0xFFFF0000;
constexpr uint32_t kDvsTrigger = 0x8000;

uint32_t load_big(const uint8_t* at) noexcept {
    return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 |
           static_cast<uint32_t>(at[3]);
}

const Aedat2Decoder::Camera& camera_of(const DecoderOptions& options) {
    std::string names;
    for (const Aedat2Decoder::Camera& camera : kCameras) {
        if (options.variant == camera.name) return camera;
        names += (names.empty() ? "'" : ", '") + std::string(camera.name) + "'";
    }
    throw Error(ErrorKind::usage, "no such variant of aedat2", "variant", "'" + options.variant + "'", names);
}

}  // namespace

Aedat2Decoder::Aedat2Decoder(DecoderOptions options) : Aedat2Decoder(options, camera_of(options)) {}

Aedat2Decoder::Aedat2Decoder(DecoderOptions options, const Camera& camera)
    : GuardedDecoder("aedat2", "AEDAT2", std::move(options), camera.width != 0 ? camera.width : 1024,
                     camera.height != 0 ? camera.height : 512, false),
      camera_(camera),
      last_x_((camera.width != 0 ? camera.width : options_.width) - 1),
      last_y_((camera.height != 0 ? camera.height : options_.height) - 1),
      event_mask_(camera.davis ? kDavisSample | kDavisTrigger : kDvsUnused | kDvsTrigger) {
    if (last_x_ < 0)
        throw Error(ErrorKind::usage, "the camera's size is not known", options_.where, "a DAVIS that is not named",
                    "the size by which it mirrors its addresses", "pass --sensor");
}

Status Aedat2Decoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    return carry_.feed(bytes,
                       [&](const uint8_t* data, size_t count) { return run(data, data + count * kRecord, out); });
}

Status Aedat2Decoder::run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor cursor = block.start();
    int64_t bound = this->bound();
    int64_t base = base_us();
    const auto flush = [&] {
        block.take(cursor);
        append_marked(block.events(), block.count(), out);
        cursor = block.start();
        if (bound != 0) set_bound(bound);
    };
    for (; at < end; at += kRecord) {
        const uint32_t address = load_big(at);
        const uint32_t time = load_big(at + 4);
        const Event event = event_at(address, base + time);
        const bool timely = event.t < bound && event.t >= bound - kPeriod / 2;
        if ((address & event_mask_) == 0 && timely && event.x < width_ && event.y < height_) {
            cursor = EventBlock::put(cursor, event.t, event.x, event.y, event.p);
            bound = moved(bound, event.t);
            ++records_;
            if (cursor >= block.full()) flush();
            continue;
        }
        flush();
        if (Status status = record(address, time, out); !status.ok()) return status;
        bound = this->bound();
        base = base_us();
    }
    flush();
    return {};
}

Status Aedat2Decoder::record(uint32_t address, uint32_t time, std::vector<Event>& out) {
    const int64_t number = records_++;
    const Place place{number * static_cast<int64_t>(kRecord), number};
    if (camera_.davis && (address & kDavisSample) != 0) return {};
    if (!camera_.davis && (address & kDvsUnused) != 0) return bad_record(place, "its address is none of a DVS128");
    const int64_t t_us = unwrapped(time);
    if ((address & event_mask_) == 0) return judge(event_at(address, t_us), place, out);
    trigger(t_us, 0, 1);
    return {};
}

// Mirrored as the camera's addresses are: columns from the right, rows from below.
Event Aedat2Decoder::event_at(uint32_t address, int64_t t_us) const noexcept {
    const auto mirror = [](int32_t last, uint32_t value) {
        return static_cast<uint16_t>(last - static_cast<int32_t>(value));
    };
    if (camera_.davis)
        return {t_us, mirror(last_x_, address >> 12 & 0x3FF), mirror(last_y_, address >> 22 & 0x1FF),
                static_cast<uint8_t>(address >> 11 & 1)};
    return {t_us, mirror(last_x_, address >> 1 & 0x7F), mirror(last_y_, address >> 8 & 0x7F),
            static_cast<uint8_t>(~address & 1)};
}

int64_t Aedat2Decoder::base_us() const noexcept {
    return known() ? latest_us() / kPeriod * kPeriod : 0;
}

// The counter has 32 bits: it starts again where it goes from its last quarter to its first.
int64_t Aedat2Decoder::unwrapped(uint32_t time) const noexcept {
    const int64_t t_us = base_us() + time;
    if (!known()) {
        const Event* held = last_held();
        return held != nullptr && t_us + kPeriod - held->t <= kAheadUs ? t_us + kPeriod : t_us;
    }
    const int64_t latest = latest_us() % kPeriod;
    if (latest >= kPeriod - kQuarter && time < kQuarter) return t_us + kPeriod;
    if (latest < kQuarter && time >= kPeriod - kQuarter && t_us >= kPeriod) return t_us - kPeriod;
    return t_us;
}

Status Aedat2Decoder::settle(std::vector<Event>& out) {
    if (Status status = settle_held(out); !status.ok()) return status;
    if (carry_.size() == 0) return {};
    if (strict())
        return damage(records_ * static_cast<int64_t>(kRecord),
                      "the last AEDAT2 event is cut: " + std::to_string(carry_.size()) + " of 8 bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carry_.size());
    carry_.clear();
    return {};
}

void Aedat2Decoder::save_format(StateWriter& writer) const {
    save_guard(writer);
    writer.put("records", records_);
    carry_.save(writer);
}

void Aedat2Decoder::load_format(const StateReader& reader) {
    const auto records = reader.get<int64_t>("records");
    Carry carry = carry_;
    carry.load(reader, "aedat2");
    if (records < 0 || records >= int64_t{1} << 56)
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "aedat2");
    load_guard(reader);
    records_ = records;
    carry_ = carry;
}

}  // namespace edgesnn::events
