// SPIF: the datagrams' events, times and counters are those of a reading word by word (docs/sources.md, "SPIF").
#include <algorithm>
#include <cstring>
#include <vector>

#include "bytes.hpp"
#include "events/decode/spif.hpp"
#include "must.hpp"

using namespace edgesnn;

namespace {

constexpr int64_t kTurn = int64_t{1} << 32;
constexpr int64_t kNow = 77;

struct Literal {
    int64_t width, height;
    int64_t t_us = -1;
    int64_t outside = 0;
    int64_t cut = 0;

    static int64_t word(Span<const uint8_t> bytes, size_t at) {
        int64_t value = 0;
        for (size_t i = 0; i < 4; ++i) value += int64_t{bytes.data[at + i]} << 8 * i;
        return value;
    }
    // Of the times with these 32 bits the one nearest to the event before; half a turn away is before.
    int64_t nearest(int64_t low) const {
        if (t_us < 0) return low;
        int64_t found = low;
        while (found - t_us < -kTurn / 2) found += kTurn;
        while (found - t_us >= kTurn / 2) found -= kTurn;
        return found < 0 ? low : found;
    }
    void read(Span<const uint8_t> bytes, std::vector<Event>& out) {
        size_t at = 0;
        for (;;) {
            const size_t left = bytes.size - at;
            if (left < 4 || (word(bytes, at) < kTurn / 2 && left < 8)) break;
            const int64_t first = word(bytes, at);
            int64_t time_us = kNow;
            if (first < kTurn / 2) time_us = t_us = nearest(word(bytes, at + 4));
            at += first < kTurn / 2 ? 8 : 4;
            const int64_t x = first / 65536 % 32768;
            const int64_t y = first % 32768;
            if (x >= width || y >= height) {
                ++outside;
                continue;
            }
            out.push_back(
                {time_us, static_cast<uint16_t>(x), static_cast<uint16_t>(y), static_cast<uint8_t>(first / 32768 % 2)});
        }
        cut += static_cast<int64_t>(bytes.size - at);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static constexpr int32_t kWidths[] = {0, 1, 640, 32768};
    fuzz::Bytes bytes(data, size);
    const int32_t width = bytes.pick(kWidths);
    const int32_t height = width == 0 ? 0 : 480;
    Literal slow{width == 0 ? 32768 : width, width == 0 ? 32768 : height};
    events::SpifDecoder fast(width, height);
    std::vector<Event> expected;
    std::vector<Event> found;
    for (size_t at = 1; at < size;) {
        const size_t length = std::min<size_t>(size - at, 1 + data[at] % 64);
        const Span<const uint8_t> datagram{data + at, length};
        slow.read(datagram, expected);
        fast.feed(datagram, kNow, found);
        at += length;
    }
    fuzz::must(found.size() == expected.size(), "more or fewer events");
    for (size_t i = 0; i < found.size(); ++i)
        fuzz::must(std::memcmp(&found[i], &expected[i], sizeof(Event)) == 0, "other events");
    fuzz::must(fast.counters().out_of_range == slow.outside, "other events out of range");
    fuzz::must(fast.counters().truncated_bytes == slow.cut, "other bytes cut");
    return 0;
}
