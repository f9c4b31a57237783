// Chains on made-up events, for the tests of the pipeline: encodings of every shape, and a model that forgets nothing.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "encode/point_encoder.hpp"
#include "encode/spike_encoder.hpp"
#include "pipeline/chain.hpp"

namespace edgesnn::made_up {

using namespace edgesnn::pipeline;

// Scores that any change of a member, a coordinate or an earlier window changes.
class SumModel final : public WindowModel {
  public:
    Status infer(const encode::Encoded& window, Inference& out) noexcept override {
        const uint32_t sum = std::visit([this](const auto& encoded) { return mixed(encoded); }, window);
        memory_ = sum;
        out.scores = {static_cast<float>(sum % 11), static_cast<float>(sum % 13), static_cast<float>(sum % 17)};
        out.spikes = static_cast<int64_t>(sum % 1000);
        return {};
    }
    void save(StateWriter& writer) const override { writer.put("memory", memory_); }
    void load(const StateReader& reader) override { memory_ = reader.get<uint32_t>("memory"); }
    void reset() override { memory_ = 1; }

  private:
    uint32_t mixed(const encode::PointWindow& window) const noexcept {
        uint32_t sum = static_cast<uint32_t>(window.number) + memory_;
        for (const int32_t v : window.coordinates) sum = sum * 31 + static_cast<uint32_t>(v);
        for (const int32_t v : window.members) sum = sum * 31 + static_cast<uint32_t>(v);
        return sum;
    }
    uint32_t mixed(const encode::SpikeWindow& window) const noexcept {
        uint32_t sum = static_cast<uint32_t>(window.number + window.clamped) + memory_;
        for (const uint32_t v : window.indices) sum = sum * 31 + v;
        for (const int64_t v : window.offsets) sum = sum * 31 + static_cast<uint32_t>(v);
        return sum;
    }

    uint32_t memory_ = 1;
};

// How a chain is made: its options, and the encoding of points (even seeds) or of spikes.
struct Plan {
    ChainOptions options;
    bool spikes = false;
    encode::PointEncoding points;
    encode::SpikeEncoding steps;
};

inline void plan_spikes(Plan& plan, const std::function<int(int, int)>& pick) {
    plan.steps = {plan.options.sensor, {pick(1, 3'000), pick(0, 1) == 1}, pick(1, 20), pick(1, 20), pick(0, 1) == 1,
                  pick(1, 3)};
    events::WindowOptions& windows = plan.options.windows;
    windows.length = plan.steps.steps;
    windows.hop = plan.steps.hop_steps;
    windows.grid = plan.steps.grid;
    windows.from_zero = pick(0, 1) == 1;
    plan.options.min_events = 1;
    plan.options.run_idle = pick(0, 1) == 1;
}

inline void plan_points(Plan& plan, const std::function<int(int, int)>& pick) {
    encode::PointEncoding& encoding = plan.points;
    encoding.points = pick(1, 200);
    encoding.groups = pick(1, encoding.points);
    encoding.neighbours = pick(1, encoding.points);
    plan.options.windows.length = encoding.window_us = pick(1, 60'000);
    plan.options.windows.hop = encoding.hop_us = pick(500, 60'000);
    plan.options.min_events = encoding.min_events = pick(0, 20);
    encoding.minmax = pick(0, 1) == 1;
    encoding.seed = static_cast<uint64_t>(pick(0, 1 << 30));
}

inline Plan make_plan(std::mt19937& random, bool spikes) {
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    Plan plan;
    plan.spikes = spikes;
    plan.options.sensor = {pick(1, 300), pick(1, 300)};
    plan.options.readout = {3, 0.5f, 0.4f, 0.4f, pick(1, 3), 0.3f, pick(1, 3)};
    plan.options.windows.max_silent = 50;
    spikes ? plan_spikes(plan, pick) : plan_points(plan, pick);
    return plan;
}

inline std::vector<Event> make_events(std::mt19937& random, encode::Sensor sensor) {
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

inline std::unique_ptr<Chain> make_chain(const Plan& plan, std::unique_ptr<events::Decoder> decoder = nullptr) {
    std::unique_ptr<encode::Encoder> encoder;
    if (plan.spikes)
        encoder = std::make_unique<encode::SpikeEncoder>(plan.steps);
    else
        encoder = std::make_unique<encode::PointEncoder>(plan.points);
    return std::make_unique<Chain>(plan.options, std::move(decoder), std::move(encoder), std::make_unique<SumModel>());
}

inline std::string describe(const Result& result) {
    std::string line = std::to_string(result.number) + " " + std::to_string(result.events);
    for (const float p : result.decision.probabilities) line += " " + std::to_string(p);
    return line + " " + std::to_string(result.decision.active);
}

// events_in = processed + all of dropped.* + pending
inline bool identity_holds(const CounterMap& counters) {
    int64_t settled = counters.at("processed") + counters.at("pending");
    for (const auto& [name, count] : counters)
        if (name.compare(0, 8, "dropped.") == 0) settled += count;
    return counters.at("events_in") == settled;
}

}  // namespace edgesnn::made_up
