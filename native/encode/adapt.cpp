#include "encode/adapt.hpp"

#include <string>

#include "base/error.hpp"

namespace edgesnn::encode {
namespace {

std::string describe(Sensor sensor) {
    return std::to_string(sensor.width) + "x" + std::to_string(sensor.height);
}

void check(Adapt adapt, Sensor from, Sensor onto) {
    if (adapt == Adapt::none && (from.width != onto.width || from.height != onto.height))
        throw Error(ErrorKind::model, "the model takes events of another sensor", "sensor", describe(from),
                    describe(onto), "say how to adapt it: letterbox, crop or downsample");
    if (adapt == Adapt::downsample && (from.width < onto.width || from.height < onto.height))
        throw Error(ErrorKind::model, "only a larger sensor can be downsampled", "sensor", describe(from),
                    "at least " + describe(onto), "letterbox and crop take a smaller one");
}

// Position i of an axis goes to begin + i * scale / of.
std::vector<int32_t> axis(int32_t from, int32_t onto, int64_t begin, int64_t scale, int64_t of) {
    std::vector<int32_t> places(static_cast<size_t>(from), -1);
    for (int32_t i = 0; i < from; ++i) {
        const int64_t at = begin + i * scale / of;
        if (at >= 0 && at < onto) places[static_cast<size_t>(i)] = static_cast<int32_t>(at);
    }
    return places;
}

// Half of what is left, rounded down.
int64_t margin(int64_t onto, int64_t from) {
    const int64_t left = onto - from;
    return left >= 0 ? left / 2 : -((1 - left) / 2);
}

Placement letterbox(Sensor from, Sensor onto) {
    int64_t scale = 1, of = 1;
    if (from.width > onto.width || from.height > onto.height) {
        const bool wide = int64_t{onto.width} * from.height <= int64_t{onto.height} * from.width;
        scale = wide ? onto.width : onto.height;
        of = wide ? from.width : from.height;
    }
    const auto middle = [&](int32_t size, int32_t room) {
        const int64_t scaled = (size * scale + of - 1) / of;
        return axis(size, room, margin(room, scaled), scale, of);
    };
    return {middle(from.width, onto.width), middle(from.height, onto.height)};
}

}  // namespace

Placement place(Adapt adapt, Sensor from, Sensor onto) {
    check(adapt, from, onto);
    if (adapt == Adapt::letterbox) return letterbox(from, onto);
    if (adapt == Adapt::downsample)
        return {axis(from.width, onto.width, 0, onto.width, from.width),
                axis(from.height, onto.height, 0, onto.height, from.height)};
    return {axis(from.width, onto.width, margin(onto.width, from.width), 1, 1),
            axis(from.height, onto.height, margin(onto.height, from.height), 1, 1)};
}

}  // namespace edgesnn::encode
