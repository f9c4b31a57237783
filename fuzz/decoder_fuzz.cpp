// Any bytes into any decoder of the table: the same whole and in pieces, with its state saved and loaded between two of
// them; no event outside the sensor; strict raises where skip counts damage; nothing is lost uncounted.
#include <algorithm>

#include "decoding.hpp"
#include "must.hpp"

using namespace edgesnn;
using namespace edgesnn::events;

namespace {

struct Kind {
    const char* name;
    const char* variant;
};
constexpr Kind kKinds[] = {
    {"evt3", ""},
    {"evt2", ""},
    {"evt21", ""},
    {"evt21", "legacy"},
    {"dat", ""},
    {"nmnist", ""},
    {"es", ""},
    {"csv", ""},
    {"csv", "x,y,p,t_s"},
    {"csv", "t_ns,x,y,p,-"},
    {"aedat2", "dvs128"},
    {"aedat2", ""},
    {"aedat2", "davis240"},
    {"aedat31", ""},
    {"ecf", ""},
    {"ros", ""},
};
constexpr struct {
    int32_t width, height;
} kSensors[] = {{640, 480}, {0, 0}, {5, 4}, {2048, 2048}, {1280, 720}, {34, 34}, {65536, 65536}};

uint32_t load(const uint8_t* at, size_t size) noexcept {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= static_cast<uint32_t>(at[i]) << 8 * i;
    return value;
}

void put(std::vector<uint8_t>& out, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

// What the Python side frames: contents of chunks of ECF and of ROS messages, cut from the bytes, kind and length
// first.
std::vector<uint8_t> framed(bool ros, Span<const uint8_t> bytes) {
    std::vector<uint8_t> out;
    for (size_t at = 0; at + 3 <= bytes.size;) {
        const uint8_t kind = bytes.data[at];
        const size_t size = std::min<size_t>(bytes.data[at + 1], bytes.size - at - 3);
        for (const char c : std::string(ros ? "EVPK" : "ECFC")) out.push_back(static_cast<uint8_t>(c));
        put(out, kind % 5, 1);
        put(out, ros ? kind >> 7 : 0, 3);
        ros ? put(out, bytes.data[at + 2] * uint64_t{1'000'000}, 8) : put(out, bytes.data[at + 2], 4);
        put(out, size, ros ? 8 : 4);
        if (!ros) put(out, 0, 8);
        put(out, at, 8);
        out.insert(out.end(), bytes.data + at + 3, bytes.data + at + 3 + size);
        at += 3 + size;
    }
    return out;
}

// Events that the words of EVT2 (mask: EVT2.1's) hold, wherever they lie.
int64_t held(Span<const uint8_t> bytes, size_t size, size_t head, bool masked) {
    int64_t events = 0;
    for (size_t at = 0; at + size <= bytes.size; at += size)
        if (load(bytes.data + at + head, 4) >> 28 <= 1)
            events += masked ? __builtin_popcount(load(bytes.data + at + (4 - head), 4)) : 1;
    return events;
}

// What came in is out or counted.
void must_count_all(const Kind& kind, Span<const uint8_t> bytes, const fuzz::Decoded& out) {
    const Counters& c = out.counters;
    const std::string name = kind.name;
    const auto events = static_cast<int64_t>(out.events.size()) + c.out_of_range;
    if (name == "evt2") fuzz::must(events + c.unplaced_events == held(bytes, 4, 0, false), "an event of EVT2 is lost");
    if (name == "evt21")
        fuzz::must(events + c.unplaced_events == held(bytes, 8, *kind.variant == 0 ? 4 : 0, true),
                   "an event of EVT2.1 is lost");
    if (name == "dat")
        fuzz::must(events + c.bad_words == static_cast<int64_t>(bytes.size / 8), "an event of DAT is lost");
    if (name == "dat" || name == "aedat2" || name == "evt21")
        fuzz::must(c.truncated_bytes == static_cast<int64_t>(bytes.size % 8), "the last bytes are not counted");
    if (name == "nmnist") {
        const auto records = static_cast<int64_t>(bytes.size / 5);
        fuzz::must(events + c.bad_words <= records, "N-MNIST has more events than records");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kChoices = 4;
    if (size < kChoices) return 0;
    fuzz::Bytes choices(data, kChoices);
    const Kind& kind = choices.pick(kKinds);
    const auto sensor = choices.pick(kSensors);
    fuzz::Split split;
    split.seed = choices.byte();
    const uint8_t last = choices.byte();
    split.longest = 1 + (last & 15) * 3;
    split.reload = last >> 5;
    const bool both = (last & 16) != 0;
    DecoderOptions options{sensor.width, sensor.height, OnCorrupt::skip, 0, "fuzz", kind.variant};
    if (std::string(kind.name) == "aedat2" && sensor.width == 0) options.width = 346, options.height = 260;
    Span<const uint8_t> bytes{data + kChoices, size - kChoices};
    std::vector<uint8_t> frames;
    if (const std::string name = kind.name; (name == "ecf" || name == "ros") && data[0] < 128) {
        frames = framed(name == "ros", bytes);
        bytes = {frames.data(), frames.size()};
    }

    const fuzz::Decoded whole = fuzz::decode(kind.name, options, bytes, {});
    fuzz::must_be_sane(whole, options);
    must_count_all(kind, bytes, whole);
    if (!both) {
        fuzz::must_equal(fuzz::decode(kind.name, options, bytes, split), whole, "pieces give another outcome");
        return 0;
    }
    options.on_corrupt = OnCorrupt::strict;
    const fuzz::Decoded strict = fuzz::decode(kind.name, options, bytes, split);
    fuzz::must_be_sane(strict, options);
    fuzz::must_be_strict(strict, whole);
    fuzz::must_equal(fuzz::decode(kind.name, options, bytes, {}), strict, "pieces give another outcome of strict");
    return 0;
}
