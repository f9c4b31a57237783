// Packets of ROS messages of drawn bytes, whole and damaged, in drawn pieces: for the sanitizers, nothing is touched
// outside, and every split and restored state gives the same.
#include "events/decode/ros.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "tests/drawn_bytes.hpp"

using namespace edgesnn;
using namespace edgesnn::drawn_bytes;
using namespace edgesnn::events;

namespace {

void put_packet(std::mt19937& rng, uint8_t kind, int64_t base_ns, std::vector<uint8_t>& out) {
    constexpr size_t kSizes[] = {13, 16, 8, 8, 2};
    const size_t bytes = rng() % 60 * kSizes[kind] + (rng() % 10 == 0 ? 1 : 0);
    for (char c : {'E', 'V', 'P', 'K'}) out.push_back(static_cast<uint8_t>(c));
    put(out, kind);
    put(out, static_cast<uint8_t>(rng() % 5 == 0));
    put(out, uint16_t{0});
    put(out, base_ns);
    put(out, static_cast<int64_t>(bytes));
    put(out, static_cast<int64_t>(out.size()));
    for (size_t i = 0; i < bytes; ++i) {
        const uint32_t value = static_cast<uint32_t>(rng());
        out.push_back(static_cast<uint8_t>(kind == 4 && i % 2 == 1 ? value % 0x62 : value % 4 == 0 ? value >> 8 : 0));
    }
}

std::vector<uint8_t> drawn(std::mt19937& rng) {
    std::vector<uint8_t> data;
    const auto kind = static_cast<uint8_t>(rng() % 5);
    int64_t base_ns = static_cast<int64_t>(rng()) * 1000;
    for (uint32_t i = 0; i < 6; ++i, base_ns += 5'000'000) put_packet(rng, kind, base_ns, data);
    for (uint32_t hit = rng() % 2 * (rng() % 8); hit > 0; --hit)
        data[rng() % data.size()] = static_cast<uint8_t>(rng());
    return data;
}

DecoderOptions options(OnCorrupt on_corrupt) {
    DecoderOptions made;
    made.width = 320;
    made.height = 240;
    made.on_corrupt = on_corrupt;
    return made;
}

bool same(const std::vector<Event>& a, const std::vector<Event>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Event)) == 0);
}

// Decodes in pieces whose ends are the ends of their memory; each goes on from a saved state.
std::vector<Event> in_pieces(std::mt19937& rng, const std::vector<uint8_t>& data) {
    std::vector<Event> out;
    StateTensors state;
    for (size_t at = 0; at < data.size();) {
        const size_t count = std::min<size_t>(1 + rng() % 90, data.size() - at);
        const std::vector<uint8_t> piece(data.begin() + static_cast<std::ptrdiff_t>(at),
                                         data.begin() + static_cast<std::ptrdiff_t>(at + count));
        RosDecoder decoder(options(OnCorrupt::skip));
        if (at != 0) decoder.load(StateReader(state, "decoder"));
        check(decoder.feed({piece.data(), piece.size()}, out).ok(), "skip never fails");
        at += count;
        if (at == data.size()) check(decoder.finish(out).ok(), "skip never fails at the end");
        StateWriter writer("decoder");
        decoder.save(writer);
        state = writer.tensors();
    }
    return out;
}

}  // namespace

int main() {
    std::mt19937 rng(5);
    size_t events = 0;
    for (int round = 0; round < 3000; ++round) {
        const std::vector<uint8_t> data = drawn(rng);
        std::vector<Event> whole;
        RosDecoder decoder(options(OnCorrupt::skip));
        check(decoder.feed({data.data(), data.size()}, whole).ok() && decoder.finish(whole).ok(), "skip never fails");
        for (const Event& event : whole) check(event.x < 320 && event.y < 240 && event.p < 2 && event.t >= 0, "inside");
        if (round % 5 == 0) check(same(in_pieces(rng, data), whole), "every split gives the same");
        std::vector<Event> strict;
        RosDecoder other(options(OnCorrupt::strict));
        if (other.feed({data.data(), data.size()}, strict).ok()) other.finish(strict);
        strict.resize(std::min(strict.size(), whole.size()));
        check(same(strict, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(strict.size())}),
              "strict gives what was before the damage");
        events += whole.size();
    }
    check(events > 20'000, "many of them are events");
    std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
