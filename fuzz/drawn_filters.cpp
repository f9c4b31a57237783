#include "drawn_filters.hpp"

#include <algorithm>

#include "must.hpp"

namespace edgesnn::fuzz {
namespace {

using events::Area;
using events::Parameters;

struct Range {
    const char* name;
    int64_t low, high;
};
struct Kind {
    const char* name;
    std::vector<Range> ranges;
};

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all = {
        {"background", {{"dt", 1, 100}, {"neighbours", 0, 1}}},
        {"bitmap", {{"drop", 0, 1}}},
        {"decimate", {{"factor", 2, 5}, {"per", 0, 1}}},
        {"downsample", {{"factor", 2, 5}}},
        {"flip", {{"axis", 0, 1}}},
        {"hot_pixels", {{"learn", 1, 200}, {"rate", 5'000, 5'100}}},
        {"mask", {}},
        {"polarity", {{"keep", 0, 2}}},
        {"rate", {{"limit", 50'000, 50'100}, {"period", 20, 200}}},
        {"refractory", {{"period", 1, 100}, {"after", 0, 1}}},
        {"roi", {}},
        {"rotate", {{"degrees", 0, 2}}},
        {"stcf", {{"dt", 1, 100}, {"k", 1, 4}}},
        {"transpose", {}},
    };
    return all;
}

int64_t draw(Bytes& bytes, int64_t low, int64_t high) {
    return bytes.odd() ? bytes.number() : bytes.from(low, std::min(high, low + 255));
}

void draw_rectangle(Bytes& bytes, Area area, Parameters& made) {
    const int64_t x = draw(bytes, 0, area.width - 1), y = draw(bytes, 0, area.height - 1);
    made.values = {{"x", x}, {"y", y}};
    made.values["width"] = draw(bytes, 1, x < 0 || x >= area.width ? 1 : area.width - x);
    made.values["height"] = draw(bytes, 1, y < 0 || y >= area.height ? 1 : area.height - y);
}

void draw_bitmap(Bytes& bytes, Area area, Parameters& made) {
    made.values = {{"width", draw(bytes, area.width, area.width)}, {"height", draw(bytes, area.height, area.height)}};
    const auto pixels = static_cast<size_t>(area.width) * static_cast<size_t>(area.height);
    Stream stream(bytes.byte());
    for (size_t left = std::min<size_t>(bytes.odd() ? bytes.byte() : (pixels + 7) / 8, 1 << 13); left > 0; --left)
        made.bits.push_back(static_cast<char>(stream.next()));
}

void leave(const Parameters& made, Area& area) {
    const auto value = [&](const char* name) { return made.values.at(name); };
    if (made.filter == "transpose" || (made.filter == "rotate" && value("degrees") != 1))
        std::swap(area.width, area.height);
    if (made.filter == "roi")
        area = {static_cast<int32_t>(std::clamp<int64_t>(value("width"), 1, area.width)),
                static_cast<int32_t>(std::clamp<int64_t>(value("height"), 1, area.height))};
    if (made.filter == "downsample") {
        const auto factor = static_cast<int32_t>(std::clamp<int64_t>(value("factor"), 2, 65536));
        area = {(area.width + factor - 1) / factor, (area.height + factor - 1) / factor};
    }
}

// From the event before to the next one.
int64_t draw_step_us(uint8_t byte) {
    static constexpr int64_t kFar[] = {-1,  -70,    -100'000,         1'000'000,           int64_t{1} << 33,
                                       255, 10'000, int64_t{1} << 50, -(int64_t{1} << 50), 2 * (kTimeLimit - 1)};
    return byte < 240 ? byte % 60 : kFar[byte % std::size(kFar)];
}

Event place(Area area, uint64_t pixel, int64_t t_us) {
    const auto x = static_cast<int64_t>(pixel >> 1) * (area.width > 128 ? 517 : 1);
    const int64_t y = area.height > 1 ? x / std::min(area.width, 128) + x % 3 : 0;
    return {t_us, static_cast<uint16_t>(x % area.width), static_cast<uint16_t>(y % area.height),
            static_cast<uint8_t>(pixel & 1)};
}

}  // namespace

Area draw_area(Bytes& bytes) {
    static constexpr Area kAreas[] = {{5, 4},  {16, 9}, {1, 1}, {3, 70},    {40, 1},        {8, 8},
                                      {20, 3}, {7, 11}, {2, 2}, {65536, 1}, {65536, 65536}, {0, 5}};
    const size_t choice = bytes.byte();
    return kAreas[choice < 250 ? choice % 9 : choice % std::size(kAreas)];
}

Parameters draw_filter(Bytes& bytes, Area& area) {
    const Kind& kind = kinds()[bytes.below(kinds().size())];
    Parameters made{kind.name, {}, {}};
    if (made.filter == "roi" || made.filter == "mask") draw_rectangle(bytes, area, made);
    if (made.filter == "bitmap") draw_bitmap(bytes, area, made);
    for (const Range& range : kind.ranges) made.values[range.name] = draw(bytes, range.low, range.high);
    leave(made, area);
    if (bytes.odd() && !made.values.empty()) made.values.erase(made.values.begin());
    if (bytes.odd()) made.filter += "s";
    return made;
}

std::vector<Event> draw_events(Bytes& bytes, Area area) {
    constexpr int64_t kLatest = kTimeLimit - 1;
    static constexpr int64_t kFirst[] = {0, 1000, -5, -kLatest, kLatest};
    const size_t choice = bytes.byte();
    const bool many = choice >= 252;  // more than one block
    const size_t count = many ? 1024 + 8 * (choice - 252) : choice % 24;
    Stream stream(many ? bytes.byte() : 0);
    int64_t t_us = kFirst[choice / 24 % std::size(kFirst)];
    std::vector<Event> made(count);
    for (Event& event : made) {
        const uint64_t step = many ? stream.next() : bytes.byte(), pixel = many ? stream.next() >> 40 : bytes.byte();
        t_us = std::clamp(t_us + draw_step_us(static_cast<uint8_t>(step)), -kLatest, kLatest);
        event = place(area, pixel, t_us);
    }
    return made;
}

void must_be_filtered(const std::vector<Event>& events, Area area) {
    int64_t last_us = -kTimeLimit;
    for (const Event& event : events) {
        must(event.x < area.width && event.y < area.height, "an event is outside what the filters leave");
        must(event.p <= 1, "a polarity is neither 0 nor 1");
        must(event.t >= last_us, "filtered time steps back");
        last_us = event.t;
    }
}

}  // namespace edgesnn::fuzz
