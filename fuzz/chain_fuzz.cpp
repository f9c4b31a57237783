// A chain's saved state with departures (Chain::load: input, decoder, windows, encoder, decision, session): refused,
// changing nothing, or taken, and the chain and another that loads what it saves go on alike.
#include <array>

#include "encode/point_encoder.hpp"
#include "encode/spike_encoder.hpp"
#include "exercise.hpp"
#include "pipeline/chain.hpp"
#include "pipeline/executor_model.hpp"
#include "state_departures.hpp"
#include "tests/small_models.hpp"

using namespace edgesnn;
using namespace edgesnn::pipeline;

namespace {

constexpr encode::Sensor kSensor{5, 4};                 // of the models
constexpr encode::Sensor kLarger{12, 7}, kOther{3, 9};  // of recordings that are adapted
constexpr small_models::Sizes kSizes{3, 2};
constexpr int64_t kWindowUs = 1000;
constexpr size_t kMostDecisions = 4;  // of one call: silent windows end before
constexpr size_t kEvents = 40;
constexpr const char* kDecoders[] = {nullptr, "evt3", "evt2", "evt21", "nmnist", "aedat2", "aedat31", "csv"};
enum Encoding {
    points_by_time,
    points_by_count,
    spikes,
    spikes_nearest,
    letterboxed,
    cropped,
    downsampled,
    going_on,  // states that no window resets
    kEncodings
};

Encoding encoding_of(size_t kind) {
    return static_cast<Encoding>(kind % kEncodings);
}

encode::Adapt adapt_of(Encoding encoding) {
    switch (encoding) {
        case letterboxed:
            return encode::Adapt::letterbox;
        case cropped:
            return encode::Adapt::crop;
        case downsampled:
            return encode::Adapt::downsample;
        default:
            return encode::Adapt::none;
    }
}

encode::Sensor sensor_of(Encoding encoding) {
    if (encoding == cropped) return kOther;
    return adapt_of(encoding) == encode::Adapt::none ? kSensor : kLarger;
}

std::unique_ptr<encode::Encoder> make_encoder(Encoding encoding, ChainOptions& options) {
    if (encoding <= points_by_count) {
        encode::PointEncoding made;
        made.points = small_models::kPoints, made.groups = kSizes.groups, made.neighbours = kSizes.neighbours;
        made.window_us = options.windows.length = kWindowUs, made.hop_us = options.windows.hop = kWindowUs / 4;
        options.windows.by_count = encoding == points_by_count;
        if (options.windows.by_count) options.windows.length = 20, options.windows.hop = 30;
        return std::make_unique<encode::PointEncoder>(made);
    }
    const int64_t hop = encoding == going_on ? 6 : 3;
    encode::SpikeEncoding made{kSensor, {100, encoding == spikes_nearest}, 6, hop, false, 1, adapt_of(encoding)};
    options.windows.length = made.steps, options.windows.hop = made.hop_steps, options.windows.grid = made.grid;
    options.windows.from_zero = encoding == spikes_nearest;
    options.run_idle = encoding == spikes_nearest || encoding == going_on;
    return std::make_unique<encode::SpikeEncoder>(made);
}

std::unique_ptr<Chain> make_chain(size_t kind) {
    static const std::shared_ptr<const executor::Model> of_points = small_models::spikepoint(kSizes);
    static const std::shared_ptr<const executor::Model> of_spikes =
        small_models::recurrent(kSensor.height, kSensor.width);
    static const std::shared_ptr<const executor::Model> never_reset =
        small_models::with_resets(*of_spikes, {"never", "line", "tokens"});
    const Encoding encoding = encoding_of(kind);
    const char* decoder = kDecoders[kind / kEncodings % std::size(kDecoders)];
    const bool strict = kind / kEncodings / std::size(kDecoders) != 0;
    const auto& model = encoding <= points_by_count ? of_points : encoding == going_on ? never_reset : of_spikes;
    ChainOptions options;
    options.sensor = sensor_of(encoding), options.strict = strict;
    options.windows.max_events = 64, options.windows.max_silent = 3;
    const auto classes = static_cast<int32_t>(executor::elements(model->type(model->outputs().front()).shape));
    options.readout = {classes, 0.5f, 0.4f, 0.4f, 2, 0.3f, 2};
    if (encoding == letterboxed) options.readout.exit_confidence = 0.6f, options.readout.exit_steps = 2;
    std::unique_ptr<encode::Encoder> encoder = make_encoder(encoding, options);
    events::DecoderOptions decoding;
    decoding.width = options.sensor.width, decoding.height = options.sensor.height;
    decoding.on_corrupt = strict ? events::OnCorrupt::strict : events::OnCorrupt::skip;
    return std::make_unique<Chain>(options, decoder == nullptr ? nullptr : events::make_decoder(decoder, decoding),
                                   std::move(encoder), make_window_model(model, options.readout));
}

constexpr size_t kKinds = kEncodings * std::size(kDecoders) * 2;

std::array<Event, kEvents> make_events(encode::Sensor sensor, int64_t first_us, int64_t step_us) {
    std::array<Event, kEvents> made{};
    for (size_t i = 0; i < kEvents; ++i) {
        const int64_t t = first_us + static_cast<int64_t>(i) * step_us;
        const auto x = static_cast<int32_t>(i) * 7 % sensor.width, y = static_cast<int32_t>(i) * 3 % sensor.height;
        made[i] = {t, static_cast<uint16_t>(x), static_cast<uint16_t>(y), static_cast<uint8_t>(i % 2)};
    }
    return made;
}

struct Outcome {
    std::vector<float> numbers;  // of the decisions
    Status status;
};

// At most so many decisions, or all up to an error.
void drain(Chain& chain, Outcome& out, size_t most = kMostDecisions) {
    Result result;
    bool ready = true;
    while (most-- != 0 && (out.status = chain.poll(result, ready)).ok() && ready) {
        out.numbers.push_back(static_cast<float>(result.number));
        out.numbers.push_back(static_cast<float>(result.decision.active));
        out.numbers.insert(out.numbers.end(), result.decision.probabilities.begin(),
                           result.decision.probabilities.end());
    }
}

std::vector<StateTensors> make_states(size_t kind) {
    const auto chain = make_chain(kind);
    std::vector<StateTensors> states{chain->save()};
    Outcome out;
    for (int64_t i = 0; i < 4; ++i) {
        const auto events = make_events(sensor_of(encoding_of(kind)), 10'000 + i * 2'000, 30);
        chain->input().push_events({events.data(), events.size()}, events::kNoTime, {true, i, 0});
        states.push_back(chain->save());
        drain(*chain, out, i == 1 ? 1 : kMostDecisions);
        states.push_back(chain->save());
    }
    return states;
}

const std::vector<StateTensors>& states_of(size_t kind) {
    static std::array<std::vector<StateTensors>, kKinds> all;
    if (all[kind].empty()) all[kind] = make_states(kind);
    return all[kind];
}

// What the bytes say: events at some time, bytes for the decoder, the end.
struct Push {
    bool events, raw, end;
    std::array<Event, kEvents> made;
    std::array<uint8_t, 32> bytes;

    Push(encode::Sensor sensor, uint8_t what, fuzz::Bytes& in)
        : events((what & 1) == 0), raw((what & 2) != 0), end((what & 4) != 0) {
        static constexpr int64_t kTimes[] = {18'000, 0, -5'000, int64_t{1} << 59, -(int64_t{1} << 59)};
        const int64_t first_us = in.pick(kTimes);
        made = make_events(sensor, first_us, in.flag() ? 30 : 150);
        for (uint8_t& byte : bytes) byte = in.byte();
    }
};

Outcome push(Chain& chain, const Push& pushed) {
    Outcome out;
    try {
        if (pushed.events) chain.input().push_events({pushed.made.data(), kEvents}, events::kNoTime, {});
        if (pushed.raw) chain.input().push_bytes({pushed.bytes.data(), pushed.bytes.size()}, {});
        if (pushed.end) chain.input().finish();
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::usage || error.status().kind == ErrorKind::recording,
                   "a wrong push is another kind of error");
        out.numbers.push_back(-1);
    }
    drain(chain, out);
    return out;
}

// Another chain that loads what this one saves, fed alike.
void check_twin(size_t kind, const StateTensors& saved, const Push& pushed, const Outcome& out, const Chain& chain) {
    const auto twin = make_chain(kind);
    twin->load(saved);
    fuzz::must(fuzz::same(twin->save(), saved), "load is not the inverse of save");
    const Outcome other = push(*twin, pushed);
    fuzz::must(out.numbers == other.numbers, "a chain that was saved and loaded decides otherwise");
    fuzz::must(out.status.kind == other.status.kind, "a chain that was saved and loaded fails otherwise");
    fuzz::must(chain.counters() == twin->counters(), "a chain that was saved and loaded counts otherwise");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const size_t kind = bytes.below(kKinds);
    const std::vector<StateTensors>& states = states_of(kind);
    const uint8_t which = bytes.byte();
    const StateTensors& own = states[which % states.size()];
    const StateTensors departed = fuzz::depart(own, bytes);
    const auto chain = make_chain(kind);
    const StateTensors& before = which < 128 ? own : states[0];
    if (which < 128) chain->load(own);
    try {
        chain->load(departed);
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong snapshot is another kind of error");
        fuzz::must(fuzz::same(chain->save(), before), "a refused snapshot changes the chain");
        return 0;
    }
    const uint8_t what = bytes.byte();
    const Push pushed(sensor_of(encoding_of(kind)), what, bytes);
    const bool twin = (what & 8) != 0;
    const StateTensors saved = twin ? chain->save() : StateTensors{};
    const Outcome out = push(*chain, pushed);
    if (twin) check_twin(kind, saved, pushed, out, *chain);
    return 0;
}
