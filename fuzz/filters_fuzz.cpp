// Any chain of filters over any events, with pauses: refused, or the same whole and in pieces with its state saved and
// loaded between two of them; what comes out lies in the area that it says, never steps back, and with what was dropped
// makes up what came in.
#include <algorithm>

#include "drawn_filters.hpp"
#include "events/filters/chain.hpp"
#include "exercise.hpp"

using namespace edgesnn;
using namespace edgesnn::events;

namespace {

constexpr size_t kMostFilters = 4;
constexpr size_t kMostPixels = 1 << 16;  // of a sensor whose filters are run

// Events, then time without any.
struct Part {
    std::vector<Event> events;
    bool pause = false;
    int64_t t_us = 0;
};

struct Split {
    fuzz::Stream sizes;
    int64_t longest;
    size_t reload;  // after so many pieces, 0: never
};

std::vector<Part> draw_parts(fuzz::Bytes& bytes, Area area) {
    static constexpr int64_t kPauses[] = {0, 60, 2000, 1 << 20, -(int64_t{1} << 61), INT64_MIN, kTimeLimit, INT64_MAX};
    std::vector<Part> parts(1 + bytes.below(3));
    for (Part& part : parts) {
        part.events = fuzz::draw_events(bytes, area);
        const uint8_t pause = bytes.byte();
        part.pause = pause >= 128;
        part.t_us = kPauses[pause % 4 + (pause >= 250 ? 4 : 0)];
    }
    return parts;
}

// Into room for just so many events; told that times rise, where they do and it is asked for.
void push(FilterChain& chain, Span<const Event> events, bool told, std::vector<Event>& out) {
    const auto rises = [](const Event& one, const Event& next) { return one.t < next.t; };
    told &= std::is_sorted(events.begin(), events.end(), rises);
    const std::vector<Event> piece(events.begin(), events.end());
    std::vector<Event> room(events.size);
    const size_t passed = told ? chain.push_rising({piece.data(), piece.size()}, room.data())
                               : chain.push({piece.data(), piece.size()}, room.data());
    fuzz::must(passed <= events.size, "more passes than there is");
    out.insert(out.end(), room.data(), room.data() + passed);
}

StateTensors saved(const FilterChain& chain) {
    StateWriter writer(chain.section());
    chain.save(writer);
    return writer.tensors();
}

void reload(const std::vector<Parameters>& filters, Area area, std::unique_ptr<FilterChain>& chain) {
    const StateTensors state = saved(*chain);
    chain = std::make_unique<FilterChain>(filters, area);
    chain->load(StateReader(state, chain->section()));
    fuzz::must(fuzz::same(saved(*chain), state), "load is not the inverse of save");
}

// The chain at the end, what came out in `out`.
std::unique_ptr<FilterChain> run_split(const std::vector<Parameters>& filters, Area area,
                                       const std::vector<Part>& parts, Split split, std::vector<Event>& out) {
    auto chain = std::make_unique<FilterChain>(filters, area);
    size_t pieces = 0;
    for (const Part& part : parts) {
        for (size_t at = 0; at < part.events.size();) {
            const size_t size =
                std::min(part.events.size() - at, static_cast<size_t>(split.sizes.from(0, split.longest)));
            push(*chain, {part.events.data() + at, size}, pieces % 2 == 0, out);
            at += size;
            if (++pieces == split.reload) reload(filters, area, chain);
        }
        if (part.pause) chain->advance(part.t_us);
    }
    return chain;
}

void run_whole(FilterChain& chain, const std::vector<Part>& parts, std::vector<Event>& out) {
    int64_t reached_us = -kTimeLimit, clamped = 0, in = 0;
    for (const Part& part : parts) {
        for (const Event& event : part.events) {
            const int64_t t_us = event.t;
            clamped += t_us < reached_us ? 1 : 0;
            reached_us = std::max(reached_us, t_us);
        }
        in += static_cast<int64_t>(part.events.size());
        push(chain, {part.events.data(), part.events.size()}, false, out);
        if (!part.pause) continue;
        chain.advance(part.t_us);
        reached_us = std::max(reached_us, std::min(part.t_us, kTimeLimit - 1));
    }
    CounterMap counters;
    chain.count(counters);
    fuzz::must(chain.reached_us() == reached_us, "another time is reached than the latest");
    fuzz::must(counters["time_clamped"] == clamped, "steps back in time are not those counted");
    fuzz::must(in == static_cast<int64_t>(out.size()) + chain.dropped(), "an event is neither out nor counted");
    fuzz::must_be_filtered(out, chain.area());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const uint8_t mode = bytes.byte();
    bytes.hostile = (mode & 7) == 0;
    const Area area = fuzz::draw_area(bytes);
    std::vector<Parameters> filters;
    Area left = area;
    for (size_t count = bytes.below(kMostFilters + 1); count > 0 && left.width > 0; --count)
        filters.push_back(fuzz::draw_filter(bytes, left));
    const bool large = static_cast<size_t>(area.width) * static_cast<size_t>(area.height) > kMostPixels;
    if (large && filters.size() > 1) filters.resize(1);
    std::unique_ptr<FilterChain> chain;
    try {
        chain = std::make_unique<FilterChain>(filters, area);
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::usage, "a wrong filter is another kind of error");
        return 0;
    }
    if (large) return 0;
    if (bytes.hostile) left = chain->area();
    fuzz::must(left.width == chain->area().width && left.height == chain->area().height, "another area is left");
    const Split split{fuzz::Stream(bytes.byte()), 1 + (mode >> 3) % 8 * 3, static_cast<size_t>(mode >> 6)};
    const std::vector<Part> parts = draw_parts(bytes, area);
    std::vector<Event> whole, pieces;
    run_whole(*chain, parts, whole);
    const auto other = run_split(filters, area, parts, split, pieces);
    fuzz::must(whole.size() == pieces.size(), "pieces let other events pass");
    fuzz::must(whole.empty() || std::memcmp(static_cast<const void*>(whole.data()), pieces.data(),
                                            whole.size() * sizeof(Event)) == 0,
               "pieces give other events");
    fuzz::must(fuzz::same(saved(*chain), saved(*other)), "pieces leave another state");
    return 0;
}
