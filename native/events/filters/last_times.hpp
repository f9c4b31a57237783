// When each pixel last had an event. A border of one pixel that never had any spares its readers the edges.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "events/filters/filter.hpp"
#include "events/windows/window_cutter.hpp"

namespace edgesnn::events {

class LastTimes {
  public:
    static constexpr int64_t kNever = -2 * kTimeLimit;  // t - kNever exceeds every duration and does not overflow

    explicit LastTimes(Area area)
        : area_(area),
          stride_(area.width + 2),
          times_(area.pixels() + 2 * static_cast<size_t>(area.width + area.height) + 4, kNever) {}

    int64_t* at(const Event& event) noexcept { return times_.data() + (event.y + 1) * stride_ + event.x + 1; }
    void fetch(const Event& event) noexcept { __builtin_prefetch(at(event), 1); }
    std::ptrdiff_t stride() const noexcept { return stride_; }

    void save(StateWriter& writer, const std::string& name) const {
        std::vector<int64_t> inside;
        inside.reserve(area_.pixels());
        for (int32_t y = 0; y < area_.height; ++y) inside.insert(inside.end(), row(y), row(y) + area_.width);
        writer.put(name, inside.data(), {area_.height, area_.width});
    }
    void load(const StateReader& reader, const std::string& name) {
        const std::vector<int64_t> inside = reader.get_array<int64_t>(name);
        const bool fits = inside.size() == area_.pixels();
        const auto possible = [](int64_t t) { return t == kNever || (t > -kTimeLimit && t < kTimeLimit); };
        if (!fits || !std::all_of(inside.begin(), inside.end(), possible))
            throw Error(ErrorKind::model, "snapshot of a filter contradicts itself", name);
        for (int32_t y = 0; y < area_.height; ++y)
            std::copy_n(inside.begin() + static_cast<std::ptrdiff_t>(y) * area_.width, area_.width,
                        times_.begin() + (y + 1) * stride_ + 1);
    }

  private:
    const int64_t* row(int32_t y) const noexcept { return times_.data() + (y + 1) * stride_ + 1; }

    Area area_;
    std::ptrdiff_t stride_;
    std::vector<int64_t> times_;
};

}  // namespace edgesnn::events
