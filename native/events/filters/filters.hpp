// The filters by name; each is in the file of its name.
#pragma once

#include <memory>

#include "events/filters/filter.hpp"

namespace edgesnn::events {

std::unique_ptr<Filter> make_background(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_bitmap(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_decimate(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_downsample(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_flip(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_hot_pixels(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_mask(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_polarity(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_rate(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_refractory(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_roi(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_rotate(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_stcf(const Parameters& parameters, Area& area);
std::unique_ptr<Filter> make_transpose(const Parameters& parameters, Area& area);

}  // namespace edgesnn::events
