// The chain on made-up events, for the sanitizers: encodings of every shape, every split, saved and forged states.
#include "pipeline/chain.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace edgesnn;
using namespace edgesnn::pipeline;

namespace {

int failures = 0;

void check(bool holds, const char* what, unsigned seed) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr, "seed %u: %s\n", seed, what);
}

// Scores that any change of a member, a coordinate or an earlier window changes.
class SumModel final : public WindowModel {
  public:
    Status infer(const encode::PointWindow& window, Inference& out) noexcept override {
        uint32_t sum = static_cast<uint32_t>(window.number) + memory_;
        for (const int32_t v : window.coordinates) sum = sum * 31 + static_cast<uint32_t>(v);
        for (const int32_t v : window.members) sum = sum * 31 + static_cast<uint32_t>(v);
        memory_ = sum;
        out.scores = {static_cast<float>(sum % 11), static_cast<float>(sum % 13), static_cast<float>(sum % 17)};
        out.spikes = static_cast<int64_t>(sum % 1000);
        return {};
    }
    void save(StateWriter& writer) const override { writer.put("memory", memory_); }
    void load(const StateReader& reader) override { memory_ = reader.get<uint32_t>("memory"); }

  private:
    uint32_t memory_ = 1;
};

ChainOptions make_options(std::mt19937& random) {
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    ChainOptions options;
    options.encoding.points = pick(1, 200);
    options.encoding.groups = pick(1, options.encoding.points);
    options.encoding.neighbours = pick(1, options.encoding.points);
    options.encoding.window_us = pick(1, 60'000);
    options.encoding.hop_us = pick(500, 60'000);
    options.encoding.min_events = pick(0, 20);
    options.encoding.minmax = pick(0, 1) == 1;
    options.encoding.seed = random();
    options.sensor = {pick(1, 300), pick(1, 300)};
    options.readout = {3, 0.5f, 0.4f, 0.4f, pick(1, 3), 0.3f, pick(1, 3)};
    options.max_silent = 50;
    return options;
}

std::vector<Event> make_events(std::mt19937& random, encode::Sensor sensor) {
    std::vector<Event> events(std::uniform_int_distribution<size_t>(0, 600)(random));
    int64_t t = static_cast<int64_t>(random()) - 1'000'000;
    for (Event& event : events) {
        const uint32_t roll = random() % 100;
        t += roll < 5 ? -200 : roll < 98 ? static_cast<int64_t>(random() % 900) : static_cast<int64_t>(random());
        event = {t, static_cast<uint16_t>(random() % static_cast<uint32_t>(sensor.width)),
                 static_cast<uint16_t>(random() % static_cast<uint32_t>(sensor.height)),
                 static_cast<uint8_t>(random() % 2)};
    }
    return events;
}

std::unique_ptr<Chain> make_chain(const ChainOptions& options) {
    return std::make_unique<Chain>(options, nullptr, std::make_unique<SumModel>());
}

void drain(Chain& chain, std::vector<std::string>& out, size_t most = 100'000) {
    Result result;
    bool ready = true;
    while (most-- != 0 && chain.poll(result, ready).ok() && ready) {
        std::string line = std::to_string(result.number) + " " + std::to_string(result.events);
        for (const float p : result.decision.probabilities) line += " " + std::to_string(p);
        out.push_back(line + " " + std::to_string(result.decision.active));
    }
}

// Pushes pieces of `piece` events; with `reload` every piece goes to a new chain with the saved state.
std::vector<std::string> play(const ChainOptions& options, std::vector<Event>& events, size_t piece, bool reload) {
    auto chain = make_chain(options);
    std::vector<std::string> out;
    for (size_t at = 0; at < events.size(); at += piece) {
        chain->input().push_events({events.data() + at, std::min(piece, events.size() - at)}, events::kNoTime, {});
        if (reload) {
            const StateTensors state = chain->save();
            chain = make_chain(options);
            chain->load(state);
        }
        drain(*chain, out);
    }
    chain->input().finish();
    drain(*chain, out);
    CounterMap counters = chain->counters();
    int64_t settled = counters["processed"] + counters["pending"];
    for (const auto& [name, count] : counters)
        if (name.compare(0, 8, "dropped.") == 0) settled += count;
    check(counters["events_in"] == settled, "events are lost without a name", 0);
    return out;
}

void forge(const ChainOptions& options, std::vector<Event>& events, std::mt19937& random) {
    auto chain = make_chain(options);
    chain->input().push_events({events.data(), events.size()}, events::kNoTime, {});
    std::vector<std::string> out;
    drain(*chain, out, 3);
    StateTensors state = chain->save();
    for (auto& [name, tensor] : state)
        if (!tensor.bytes.empty() && random() % 3 == 0)
            tensor.bytes[random() % tensor.bytes.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    auto twin = make_chain(options);
    try {
        twin->load(state);
        twin->input().push_events({events.data(), events.size()}, events::kNoTime, {});
        drain(*twin, out, 50);
    } catch (const Error&) {  // refused
    }
}

}  // namespace

int main() {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random(seed);
        const ChainOptions options = make_options(random);
        std::vector<Event> events = make_events(random, options.sensor);
        const auto whole = play(options, events, 1000, false);
        check(play(options, events, 1, false) == whole, "the split changes decisions", seed);
        check(play(options, events, 7, true) == whole, "saved states change decisions", seed);
        forge(options, events, random);
    }
    if (failures == 0) std::puts("chain: ok");
    return failures == 0 ? 0 : 1;
}
