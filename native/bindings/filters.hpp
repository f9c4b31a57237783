// Filters as edgesnn.events.filters gives them: [(name, {parameter: number}, bits of a bitmap)].
#pragma once

#include <tuple>
#include <vector>

#include "bindings/bindings.hpp"
#include "events/filters/filter.hpp"

namespace edgesnn::bindings {

inline std::vector<events::Parameters> filter_list(const pybind11::sequence& source) {
    std::vector<events::Parameters> filters;
    for (const pybind11::handle& item : source) {
        const auto [name, values, bits] =
            item.cast<std::tuple<std::string, std::map<std::string, int64_t>, pybind11::bytes>>();
        filters.push_back({name, values, bits});
    }
    return filters;
}

}  // namespace edgesnn::bindings
