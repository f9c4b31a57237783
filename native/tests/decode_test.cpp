// Decoders on made-up and random streams, for the sanitizers: every split, saved states, forged states.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "events/decode/decoder.hpp"
#include "tests/drawn_cases.hpp"
#include "tests/evt3_reference.hpp"

using namespace edgesnn;
using namespace edgesnn::events;

namespace {

int failures = 0;

void check(bool holds, const char* what, const std::string& where) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr, "%s: %s\n", where.c_str(), what);
}

template <typename T>
std::string raw(const std::vector<T>& records) {
    return std::string(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(T));
}

struct Outcome {
    std::vector<Event> events;
    std::vector<Trigger> triggers;
    Counters counters;
    int64_t t_end_us = kNoTime;
    std::string error;

    bool operator==(const Outcome& other) const {
        return raw(events) == raw(other.events) && raw(triggers) == raw(other.triggers) && t_end_us == other.t_end_us &&
               error == other.error && std::memcmp(&counters, &other.counters, sizeof(Counters)) == 0;
    }
};

constexpr int32_t kWidth = 320;
constexpr int32_t kHeight = 240;

DecoderOptions options(OnCorrupt policy) {
    return {kWidth, kHeight, policy, 7, "made up", ""};
}

bool inside(const Event& e) {
    return e.x < kWidth && e.y < kHeight && e.p <= 1;
}

// Feeds pieces of `piece` bytes (0: all at once); with `reload` the next piece goes to a new decoder with the saved
// state.
Outcome decode(const std::string& name, const std::vector<uint8_t>& bytes, OnCorrupt policy, size_t piece,
               bool reload) {
    auto decoder = make_decoder(name, options(policy));
    Outcome out;
    Status status;
    const size_t step = piece == 0 ? std::max<size_t>(bytes.size(), 1) : piece;
    for (size_t at = 0; at < bytes.size() && status.ok(); at += step) {
        // A copy of exactly this size, so that reading past it is seen.
        const std::vector<uint8_t> part(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, bytes.size())));
        status = decoder->feed({part.data(), part.size()}, out.events);
        if (!reload || !status.ok()) continue;
        StateWriter writer("decoder");
        decoder->save(writer);
        decoder = make_decoder(name, options(policy));
        decoder->load(StateReader(writer.tensors(), "decoder"));
    }
    if (status.ok()) status = decoder->finish(out.events);
    decoder->take_triggers(out.triggers);
    out.counters = decoder->counters();
    out.t_end_us = decoder->t_end_us();
    out.error = status.what + "@" + std::to_string(status.offset);
    return out;
}

// Random bytes, or random payloads under types that the format has and times that mostly follow each other.
std::vector<uint8_t> stream(std::mt19937_64& random, const std::string& name) {
    std::vector<uint8_t> bytes(random() % 3000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    if (name == "nmnist" || name == "dat" || name == "es" || random() % 4 == 0) return bytes;
    static const uint8_t kEvt3[] = {0x00, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x80, 0xA0, 0xE0, 0xF0};
    static const uint8_t kEvt2[] = {0x00, 0x10, 0x10, 0x00, 0x80, 0xA0, 0xE0, 0xF0};
    const size_t size = name == "evt3" ? 2 : name == "evt2" ? 4 : 8;
    for (size_t i = size - 1; i < bytes.size(); i += size) {
        const uint8_t type = size == 2 ? kEvt3[random() % sizeof kEvt3] : kEvt2[random() % sizeof kEvt2];
        const bool time = type == 0x80 && random() % 8 != 0;
        bytes[i] = static_cast<uint8_t>(type | (time ? 0 : bytes[i] & 0x0F));
        if (time && size == 4) bytes[i - 1] = bytes[i - 2] = 0;
        if (time) bytes[i + 1 - size] = static_cast<uint8_t>(i / 64);
    }
    return bytes;
}

void splits_and_states_agree(const std::string& name, uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint8_t> bytes = stream(random, name);
    const std::string where = name + " seed " + std::to_string(seed);
    for (const OnCorrupt policy : {OnCorrupt::strict, OnCorrupt::skip}) {
        const Outcome whole = decode(name, bytes, policy, 0, false);
        for (const size_t piece : {size_t{1}, size_t{3}, size_t{64}, static_cast<size_t>(random() % 997 + 1)}) {
            check(decode(name, bytes, policy, piece, false) == whole, "a split changes the outcome", where);
            check(decode(name, bytes, policy, piece, true) == whole, "a reload changes the outcome", where);
        }
        check(std::all_of(whole.events.begin(), whole.events.end(), inside), "an event outside the sensor", where);
        check(policy == OnCorrupt::strict || whole.error == "@-1", "skip failed", where);
    }
}

void evt3_is_the_literal_reading(uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint8_t> bytes = stream(random, "evt3");
    const evt3_reference::Outcome literal = evt3_reference::decode({bytes.data(), bytes.size()}, kWidth, kHeight);
    const Outcome expected{literal.events, literal.triggers, literal.counters, literal.t_end_us, "@-1"};
    check(decode("evt3", bytes, OnCorrupt::skip, 0, false) == expected, "the literal reading is another",
          "evt3 seed " + std::to_string(seed));
}

// A state whose bytes were changed is refused, or gives a decoder that still stays inside the sensor.
void forged_states_do_no_harm(const std::string& name, uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint8_t> bytes = stream(random, name);
    auto decoder = make_decoder(name, options(OnCorrupt::skip));
    std::vector<Event> out;
    decoder->feed({bytes.data(), bytes.size()}, out);
    StateWriter writer("decoder");
    decoder->save(writer);
    StateTensors tensors = writer.tensors();
    for (auto& [key, tensor] : tensors) {
        if (key == "decoder/format" || tensor.bytes.empty() || random() % 3 != 0) continue;
        tensor.bytes[random() % tensor.bytes.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    }
    auto forged = make_decoder(name, options(OnCorrupt::skip));
    try {
        forged->load(StateReader(tensors, "decoder"));
    } catch (const Error&) {
        return;
    }
    out.clear();
    check(forged->feed({bytes.data(), bytes.size()}, out).ok(), "skip failed after a forged state", name);
    check(forged->finish(out).ok(), "skip failed to finish after a forged state", name);
    check(std::all_of(out.begin(), out.end(), inside), "a forged state left the sensor", name);
}

// Events under one unconfirmed TIME_HIGH are held only up to kHeldEvents.
void held_events_are_bounded() {
    std::vector<uint8_t> bytes;
    const auto put = [&](uint32_t word) {
        bytes.push_back(static_cast<uint8_t>(word));
        bytes.push_back(static_cast<uint8_t>(word >> 8));
    };
    for (const uint32_t word : {0x8001u, 0x8001u, 0x6000u, 0x0001u, 0x8500u}) put(word);
    for (size_t i = 0; i < kHeldEvents + 5000; ++i) put(0x2001);
    const Outcome whole = decode("evt3", bytes, OnCorrupt::strict, 0, false);
    check(whole.events.size() == kHeldEvents + 5000 && whole.counters.time_resyncs == 1, "held events are lost",
          "evt3");
    check(decode("evt3", bytes, OnCorrupt::strict, 4097, false) == whole, "a split changes what is held", "evt3");
}

void wrong_options_are_refused() {
    const DecoderOptions wrong[] = {{0, 5, OnCorrupt::strict, 0, "", ""},
                                    {-1, -1, OnCorrupt::strict, 0, "", ""},
                                    {70000, 5, OnCorrupt::strict, 0, "", ""}};
    for (const DecoderOptions& option : wrong) {
        try {
            make_decoder("evt3", option);
            check(false, "an impossible sensor is taken", "evt3");
        } catch (const Error& error) {
            check(error.status().kind == ErrorKind::usage, "another kind of error", "evt3");
        }
    }
}

}  // namespace

int main() {
    for (const std::string name : {"dat", "es", "evt2", "evt21", "evt3", "nmnist"}) {
        for (uint64_t seed = 0; seed < drawn_cases(150); ++seed) splits_and_states_agree(name, seed);
        for (uint64_t seed = 0; seed < drawn_cases(400); ++seed) forged_states_do_no_harm(name, 1000 + seed);
    }
    for (uint64_t seed = 0; seed < drawn_cases(400); ++seed) evt3_is_the_literal_reading(2000 + seed);
    held_events_are_bounded();
    wrong_options_are_refused();
    if (failures == 0) std::puts("decode: ok");
    return failures == 0 ? 0 : 1;
}
