#include "events/encode/encoder.hpp"

#include <algorithm>

#include "events/encode/dat.hpp"
#include "events/encode/es.hpp"
#include "events/encode/evt2.hpp"
#include "events/encode/evt21.hpp"
#include "events/encode/evt3.hpp"

namespace edgesnn::events {
namespace {

template <typename T>
std::unique_ptr<Encoder> make(const EncoderOptions& options) {
    return std::make_unique<T>(options);
}

struct Maker {
    const char* name;
    std::unique_ptr<Encoder> (*make)(const EncoderOptions&);
    const char* variant;  // beside none
};
// clang-format off: one a line
constexpr Maker kMakers[] = {
    {"dat", make<DatEncoder>, ""},
    {"es", make<EsEncoder>, ""},
    {"evt2", make<Evt2Encoder>, ""},
    {"evt21", make<Evt21Encoder>, "legacy"},
    {"evt3", make<Evt3Encoder>, ""},
};
// clang-format on

}  // namespace

Encoder::Encoder(const char* title, const EncoderOptions& options, int32_t field_width, int32_t field_height)
    : title_(title), width_(std::min(options.width, field_width)), height_(std::min(options.height, field_height)) {}

void Encoder::refuse(const Event& event) const {
    throw Error(ErrorKind::recording, "an event that cannot be written is outside the sensor, or of no polarity", {},
                "t=" + std::to_string(event.t) + " x=" + std::to_string(event.x) + " y=" + std::to_string(event.y) +
                    " p=" + std::to_string(event.p),
                "inside " + std::to_string(width_) + "x" + std::to_string(height_) + ", p 0 or 1");
}

void Encoder::refuse_fall(int64_t t_us, int64_t before_us) const {
    throw Error(ErrorKind::recording, std::string(title_) + " cannot hold it: times fall", {},
                std::to_string(t_us) + " us after " + std::to_string(before_us) + " us", "times that never fall",
                "sort the events by time");
}

void Encoder::refuse_leap(int64_t t_us, int64_t before_us, int64_t most_us) const {
    throw Error(ErrorKind::recording, std::string(title_) + " cannot hold it: times leap", {},
                std::to_string(t_us) + " us after " + std::to_string(before_us) + " us",
                "at most " + std::to_string(most_us) + " us between two events");
}

void Encoder::refuse_start(int64_t t_us, int bits) const {
    throw Error(ErrorKind::recording, std::string(title_) + " holds " + std::to_string(bits) + " bits of time", {},
                "the first time is " + std::to_string(t_us) + " us",
                "0 to " + std::to_string((int64_t{1} << bits) - 1) + " us",
                "subtract an offset from the times: --rebase, rebase=True");
}

std::unique_ptr<Encoder> make_encoder(const std::string& name, const EncoderOptions& options) {
    if (options.width < 1 || options.height < 1 || options.width > 65536 || options.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor",
                    std::to_string(options.width) + "x" + std::to_string(options.height), "1x1 to 65536x65536");
    for (const Maker& maker : kMakers) {
        if (name != maker.name) continue;
        if (!options.variant.empty() && options.variant != maker.variant)
            throw Error(ErrorKind::usage, "no such variant of " + name, "variant", "'" + options.variant + "'",
                        *maker.variant == 0 ? "''" : std::string("'', '") + maker.variant + "'");
        return maker.make(options);
    }
    throw Error(ErrorKind::usage, "no native encoder of this name", {}, "'" + name + "'");
}

}  // namespace edgesnn::events
