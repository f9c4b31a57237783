// Filters, sensors and events as the bytes say, for the targets of filters.
#pragma once

#include <string>
#include <vector>

#include "bytes.hpp"
#include "events/filters/filter.hpp"

namespace edgesnn::fuzz {

// A small sensor, rarely one at a border of what is allowed or beyond it.
events::Area draw_area(Bytes& bytes);

// One filter for this area; parameters are small, where `bytes.hostile` is set rarely any number. `area` becomes what
// the filter leaves.
events::Parameters draw_filter(Bytes& bytes, events::Area& area);

// Events inside the area that come after each other, stand still and step back; rarely more than go through at once.
std::vector<Event> draw_events(Bytes& bytes, events::Area area);

// Ends the process where events leave the area, are none or step back in time.
void must_be_filtered(const std::vector<Event>& events, events::Area area);

}  // namespace edgesnn::fuzz
