// LZ4 frames and AEDAT4 packets of drawn bytes: for the sanitizers, nothing is touched outside.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "events/decode/aedat4.hpp"
#include "tests/drawn_bytes.hpp"

using namespace edgesnn;
using namespace edgesnn::drawn_bytes;
using namespace edgesnn::events;

namespace {

// Literals, then a match of four and more bytes at each offset.
std::vector<uint8_t> lz4_frame(std::mt19937& rng) {
    std::vector<uint8_t> block;
    uint32_t produced = 0;
    for (int i = 0; i < 40; ++i) {
        const uint32_t literals = rng() % 16;
        const uint32_t match = rng() % 16;
        block.push_back(static_cast<uint8_t>(literals << 4 | match));
        const uint32_t more = literals == 15 ? rng() % 255 : 0;
        if (literals == 15) block.push_back(static_cast<uint8_t>(more));
        for (uint32_t k = 0; k < literals + more; ++k) block.push_back(static_cast<uint8_t>(rng()));
        produced += literals + more;
        put(block, static_cast<uint16_t>(1 + rng() % (produced == 0 ? 40 : std::min(produced, 60u))));
        if (match == 15) block.push_back(7);
        produced += match + 4 + (match == 15 ? 7 : 0);
    }
    block.push_back(0x10);
    block.push_back(9);
    std::vector<uint8_t> frame;
    put(frame, uint32_t{0x184D2204});
    frame.insert(frame.end(), {0x40, 0x40, 0xC0});
    put(frame, static_cast<uint32_t>(block.size()));
    frame.insert(frame.end(), block.begin(), block.end());
    put(frame, uint32_t{0});
    return frame;
}

void frames_of_drawn_bytes() {
    std::mt19937 rng(1);
    Lz4Frame reused;
    int whole = 0;
    for (int round = 0; round < 4000; ++round) {
        std::vector<uint8_t> frame = lz4_frame(rng);
        for (uint32_t hit = rng() % 4; hit > 0; --hit)
            frame[4 + rng() % (frame.size() - 4)] = static_cast<uint8_t>(rng());
        frame.resize(frame.size() - rng() % 3);
        const std::vector<uint8_t> exact(frame.begin(), frame.end());  // its end is the end of its memory
        const size_t most = rng() % 9000;
        Lz4Frame fresh;
        const bool unpacked = fresh.unpack({exact.data(), exact.size()}, most);
        whole += unpacked ? 1 : 0;
        check(!unpacked || fresh.content().size <= most, "no more than was asked for");
        check(reused.unpack({exact.data(), exact.size()}, most) == unpacked,
              "memory that was used before changes nothing");
    }
    check(whole > 400, "many of them are whole");
}

std::vector<uint8_t> event_packet(size_t count) {
    std::vector<uint8_t> flat;
    put(flat, uint32_t{16});
    for (char c : {'E', 'V', 'T', 'S'}) flat.push_back(static_cast<uint8_t>(c));
    for (uint16_t v : {6, 8, 4, 0}) put(flat, v);
    put(flat, int32_t{8});
    put(flat, uint32_t{4});
    put(flat, static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) {
        put(flat, static_cast<int64_t>(i));
        put(flat, uint32_t{5});
        put(flat, uint32_t{1});
    }
    std::vector<uint8_t> content;
    put(content, static_cast<uint32_t>(flat.size()));
    content.insert(content.end(), flat.begin(), flat.end());
    std::vector<uint8_t> packet;
    put(packet, uint32_t{0});
    put(packet, static_cast<uint32_t>(content.size()));
    packet.insert(packet.end(), content.begin(), content.end());
    return packet;
}

void packets_of_drawn_bytes() {
    std::mt19937 rng(2);
    const Aedat4Packets::Streams streams{{0, 1}, 0, 1, Aedat4Packets::Packing::none};
    for (int round = 0; round < 2000; ++round) {
        std::vector<uint8_t> data;
        for (int i = 0; i < 3; ++i) {
            const std::vector<uint8_t> packet = event_packet(rng() % 400);
            data.insert(data.end(), packet.begin(), packet.end());
        }
        for (uint32_t hit = rng() % 3; hit > 0; --hit) data[rng() % data.size()] = static_cast<uint8_t>(rng());
        Aedat4Packets packets({320, 240, OnCorrupt::skip, 0, {}, {}});
        std::vector<Event> out;
        Status status;
        for (size_t at = 0; at < data.size();) {
            const size_t count = std::min<size_t>(1 + rng() % 900, data.size() - at);
            const std::vector<uint8_t> piece(data.begin() + static_cast<std::ptrdiff_t>(at),
                                             data.begin() + static_cast<std::ptrdiff_t>(at + count));
            const size_t used =
                packets.run(streams, {piece.data(), piece.size()}, static_cast<int64_t>(at), -1, out, status);
            check(used <= count, "no more bytes than there are");
            if (used < count || packets.odd()) break;
            at += used;
        }
        check(status.ok(), "skip never fails");
        for (const Event& event : out) check(event.x < 320 && event.y < 240 && event.p < 2, "inside");
    }
}

}  // namespace

int main() {
    frames_of_drawn_bytes();
    packets_of_drawn_bytes();
    std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
