// The chain on made-up events, for the sanitizers: encodings of every shape, every split, saved and forged states.
#include "pipeline/chain.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tests/drawn_cases.hpp"
#include "tests/made_up_chains.hpp"

using namespace edgesnn;
using namespace edgesnn::made_up;

namespace {

int failures = 0;

void check(bool holds, const char* what, unsigned seed) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr, "seed %u: %s\n", seed, what);
}

void drain(Chain& chain, std::vector<std::string>& out, size_t most = 100'000) {
    Result result;
    bool ready = true;
    while (most-- != 0 && chain.poll(result, ready).ok() && ready) {
        out.push_back(describe(result));
    }
}

// Pushes pieces of `piece` events; with `reload` every piece goes to a new chain with the saved state.
std::vector<std::string> play(const Plan& plan, std::vector<Event>& events, size_t piece, bool reload) {
    auto chain = make_chain(plan);
    std::vector<std::string> out;
    for (size_t at = 0; at < events.size(); at += piece) {
        chain->input().push_events({events.data() + at, std::min(piece, events.size() - at)}, events::kNoTime, {});
        if (reload) {
            const StateTensors state = chain->save();
            chain = make_chain(plan);
            chain->load(state);
        }
        drain(*chain, out);
    }
    chain->input().finish();
    drain(*chain, out);
    check(identity_holds(chain->counters()), "events are lost without a name", 0);
    return out;
}

void forge(const Plan& plan, std::vector<Event>& events, std::mt19937& random) {
    auto chain = make_chain(plan);
    chain->input().push_events({events.data(), events.size()}, events::kNoTime, {});
    std::vector<std::string> out;
    drain(*chain, out, 3);
    StateTensors state = chain->save();
    for (auto& [name, tensor] : state)
        if (!tensor.bytes.empty() && random() % 3 == 0)
            tensor.bytes[random() % tensor.bytes.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    auto twin = make_chain(plan);
    try {
        twin->load(state);
        twin->input().push_events({events.data(), events.size()}, events::kNoTime, {});
        drain(*twin, out, 50);
    } catch (const Error&) {  // refused
    }
}

}  // namespace

int main() {
    for (unsigned seed = 0; seed < drawn_cases(200); ++seed) {
        std::mt19937 random(seed);
        const Plan plan = make_plan(random, seed % 2 == 1);
        std::vector<Event> events = make_events(random, plan.options.sensor);
        const auto whole = play(plan, events, 1000, false);
        check(play(plan, events, 1, false) == whole, "the split changes decisions", seed);
        check(play(plan, events, 7, true) == whole, "saved states change decisions", seed);
        forge(plan, events, random);
    }
    if (failures == 0) std::puts("chain: ok");
    return failures == 0 ? 0 : 1;
}
