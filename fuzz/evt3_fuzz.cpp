// EVT3: the decoder in pieces gives what the literal reading of all words gives (native/tests/evt3_reference.hpp).
//
// Most bytes are words as a camera writes them, so that clocks go on and vectors follow their base; some are any words.
#include <cstring>

#include "decoding.hpp"
#include "must.hpp"
#include "tests/evt3_reference.hpp"

using namespace edgesnn;
using namespace edgesnn::events;

namespace {

constexpr struct {
    int32_t width, height;
} kSensors[] = {{640, 480}, {1280, 720}, {2048, 2048}, {40, 30}};

void put(std::vector<uint8_t>& out, uint32_t type, uint32_t payload) {
    const uint32_t word = type << 12 | (payload & 0xFFF);
    out.push_back(static_cast<uint8_t>(word));
    out.push_back(static_cast<uint8_t>(word >> 8));
}

// Words from choices of two bytes: a type, and how far its payload is from that of the word before of the type.
std::vector<uint8_t> words(fuzz::Bytes& bytes) {
    static constexpr uint8_t kTypes[] = {0, 2, 2, 3, 4, 5, 6, 8, 8, 8, 0xA, 7, 0xE, 0xF, 1, 9};
    uint32_t last[16] = {};
    std::vector<uint8_t> out;
    while (!bytes.empty()) {
        const uint8_t choice = bytes.byte();
        const uint32_t type = kTypes[choice & 15];
        const uint32_t argument = bytes.byte();
        uint32_t& payload = last[type];
        switch (choice >> 4 & 3) {
            case 0:
                payload += argument & 3;
                break;  // repeated, or a little onward
            case 1:
                payload += argument;
                break;
            case 2:
                payload = argument << 4 | argument >> 4;
                break;  // anywhere
            default:
                payload -= argument;
                break;
        }
        for (int times = choice >> 6 == 3 ? 3 : 1; times > 0; --times) put(out, type, payload);
    }
    return out;
}

void must_be_the_reference(const fuzz::Decoded& fast, const evt3_reference::Outcome& slow) {
    fuzz::must(fast.events.size() == slow.events.size(), "the reference has more or fewer events");
    for (size_t i = 0; i < slow.events.size(); ++i)
        fuzz::must(std::memcmp(&fast.events[i], &slow.events[i], sizeof(Event)) == 0, "the reference has other events");
    fuzz::must(fast.triggers.size() == slow.triggers.size(), "the reference has more or fewer triggers");
    for (size_t i = 0; i < slow.triggers.size(); ++i)
        fuzz::must(std::memcmp(&fast.triggers[i], &slow.triggers[i], sizeof(Trigger)) == 0,
                   "the reference has other triggers");
    fuzz::must(fast.t_end_us == slow.t_end_us, "the reference reaches another time");
    fuzz::must(std::memcmp(&fast.counters, &slow.counters, sizeof(Counters)) == 0, "the reference counts otherwise");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const uint8_t first = bytes.byte();
    const auto sensor = kSensors[first & 3];
    const DecoderOptions options{sensor.width, sensor.height, OnCorrupt::skip, 0, "fuzz", ""};
    fuzz::Split split;
    split.seed = first;
    split.longest = (first & 4) != 0 ? 0 : 1 + (first >> 4) * 4;
    split.reload = (first & 8) != 0 ? 2 : 0;
    std::vector<uint8_t> made;
    Span<const uint8_t> stream{data, 0};
    if (bytes.flag()) {
        made = words(bytes);
        stream = {made.data(), made.size()};
    } else if (size > 2) {
        stream = {data + 2, size - 2};
    }
    must_be_the_reference(fuzz::decode("evt3", options, stream, split),
                          evt3_reference::decode(stream, sensor.width, sensor.height));
    return 0;
}
