// Filters as edgesnn.events.filters gives them: [(name, {parameter: number})].
#pragma once

#include <vector>

#include "bindings/bindings.hpp"
#include "events/filters/filter.hpp"

namespace edgesnn::bindings {

inline std::vector<events::Parameters> filter_list(const pybind11::sequence& source) {
    std::vector<events::Parameters> filters;
    for (const pybind11::handle& item : source) {
        const auto pair = item.cast<std::pair<std::string, std::map<std::string, int64_t>>>();
        filters.push_back({pair.first, pair.second});
    }
    return filters;
}

}  // namespace edgesnn::bindings
