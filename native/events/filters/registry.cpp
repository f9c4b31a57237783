#include <map>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

using Maker = std::unique_ptr<Filter> (*)(const Parameters&, Area&);

const std::map<std::string, Maker>& makers() {
    static const std::map<std::string, Maker> all = {
        {"background", make_background},
        {"bitmap", make_bitmap},
        {"decimate", make_decimate},
        {"downsample", make_downsample},
        {"flip", make_flip},
        {"hot_pixels", make_hot_pixels},
        {"mask", make_mask},
        {"polarity", make_polarity},
        {"rate", make_rate},
        {"refractory", make_refractory},
        {"roi", make_roi},
        {"rotate", make_rotate},
        {"stcf", make_stcf},
        {"transpose", make_transpose},
    };
    return all;
}

}  // namespace

std::unique_ptr<Filter> make_filter(const Parameters& parameters, Area& area) {
    const auto it = makers().find(parameters.filter);
    if (it == makers().end()) throw Error(ErrorKind::usage, "no such filter", "filter", parameters.filter);
    return it->second(parameters, area);
}

}  // namespace edgesnn::events
