// Departures from the saved state of filters, and of events that wait behind them, into such filters: load refuses it,
// or they and others that load what they save go on alike, and nothing leaves the sensor or steps back in time.
#include "drawn_filters.hpp"
#include "exercise.hpp"
#include "pipeline/filter_stage.hpp"
#include "state_departures.hpp"

using namespace edgesnn;
using events::Area;
using events::Parameters;
using pipeline::FilterStage;

namespace {

constexpr Area kArea{5, 4};
constexpr size_t kStates = 5;

Parameters named(const char* name, std::map<std::string, int64_t> values) {
    return {name, std::move(values), {}};
}

// Each filter that has a state in each of its forms, and some behind others.
const std::vector<std::vector<Parameters>>& chains() {
    static const Parameters background = named("background", {{"dt", 40}, {"neighbours", 0}}),
                            beside = named("background", {{"dt", 40}, {"neighbours", 1}}),
                            stcf = named("stcf", {{"dt", 60}, {"k", 2}}),
                            passed = named("refractory", {{"period", 30}, {"after", 0}}),
                            any = named("refractory", {{"period", 30}, {"after", 1}}),
                            hot = named("hot_pixels", {{"learn", 500}, {"rate", 4'000}}),
                            rate = named("rate", {{"limit", 50'000}, {"period", 100}}),
                            stream = named("decimate", {{"factor", 3}, {"per", 0}}),
                            pixel = named("decimate", {{"factor", 2}, {"per", 1}}),
                            roi = named("roi", {{"x", 1}, {"y", 1}, {"width", 3}, {"height", 3}}),
                            turned = named("rotate", {{"degrees", 0}}), half = named("downsample", {{"factor", 2}});
    static const std::vector<std::vector<Parameters>> all = {{background},
                                                             {beside},
                                                             {stcf},
                                                             {passed},
                                                             {any},
                                                             {hot},
                                                             {rate},
                                                             {stream},
                                                             {pixel},
                                                             {turned, pixel},
                                                             {roi, passed, stcf},
                                                             {half, hot},
                                                             {rate, any, stream}};
    return all;
}

std::vector<Event> some_events(int64_t first_us) {
    std::vector<Event> made;
    for (int i = 0; i < 40; ++i)
        made.push_back({first_us + i * 17 % 300, static_cast<uint16_t>(i * 7 % 5), static_cast<uint16_t>(i * 3 % 4),
                        static_cast<uint8_t>(i % 3 == 0)});
    return made;
}

StateTensors saved(const FilterStage& stage) {
    StateWriter writer(stage.section());
    stage.save(writer);
    return writer.tensors();
}

std::vector<StateTensors> make_states(const std::vector<Parameters>& filters) {
    FilterStage stage(filters, kArea);
    std::vector<StateTensors> states{saved(stage)};
    while (states.size() < kStates) {
        const std::vector<Event> made = some_events(static_cast<int64_t>(states.size()) * 200);
        stage.push({made.data(), made.size()});
        stage.take(stage.events().size / 2);
        states.push_back(saved(stage));
    }
    return states;
}

const std::vector<StateTensors>& states_of(size_t kind) {
    static std::vector<std::vector<StateTensors>> all(chains().size());
    if (all[kind].empty()) all[kind] = make_states(chains()[kind]);
    return all[kind];
}

// What waits, then what passes.
std::vector<Event> go_on(FilterStage& stage, bool pause, const std::vector<Event>& pushed) {
    std::vector<Event> out(stage.events().begin(), stage.events().end());
    stage.take(out.size());
    if (pause) stage.advance(1'000);
    for (size_t at = 0; at < pushed.size();) {
        at += stage.push({pushed.data() + at, pushed.size() - at});
        out.insert(out.end(), stage.events().begin(), stage.events().end());
        stage.take(stage.events().size);
    }
    return out;
}

bool same_events(const std::vector<Event>& one, const std::vector<Event>& other) {
    return one.size() == other.size() && (one.empty() || std::memcmp(static_cast<const void*>(one.data()), other.data(),
                                                                     one.size() * sizeof(Event)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const size_t kind = bytes.below(chains().size());
    const std::vector<Parameters>& filters = chains()[kind];
    const StateTensors& own = states_of(kind)[bytes.below(kStates)];
    FilterStage stage(filters, kArea);
    const StateTensors departed = fuzz::depart(own, bytes);
    try {
        stage.load(StateReader(departed, stage.section()));
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong snapshot is another kind of error");
        stage.load(StateReader(own, stage.section()));
        fuzz::must(fuzz::same(saved(stage), own), "a refused snapshot leaves something that another does not replace");
        return 0;
    }
    const StateTensors state = saved(stage);
    FilterStage twin(filters, kArea);
    twin.load(StateReader(state, twin.section()));
    fuzz::must(fuzz::same(saved(twin), state), "load is not the inverse of save");
    const bool pause = bytes.flag();
    const std::vector<Event> pushed = fuzz::draw_events(bytes, kArea);
    const std::vector<Event> out = go_on(stage, pause, pushed);
    fuzz::must_be_filtered(out, stage.area());
    fuzz::must(same_events(out, go_on(twin, pause, pushed)), "filters that were saved and loaded let others pass");
    fuzz::must(fuzz::same(saved(stage), saved(twin)), "filters that were saved and loaded end otherwise");
    return 0;
}
