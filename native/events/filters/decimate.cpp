// Every `factor`-th event passes: of the stream, or of each pixel.
#include <algorithm>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Decimate final : public Filter {
  public:
    Decimate(uint32_t factor, bool pixels, Area area)
        : factor_(factor), width_(pixels ? area.width : 0), seen_(pixels ? area.pixels() : 1, 0) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        if (width_ == 0) return of_stream(from, to, count);
        return keep_events(from, to, count, [this](const Event& event) {
            uint32_t& seen = seen_[event.y * static_cast<size_t>(width_) + event.x];
            seen = seen + 1 == factor_ ? 0 : seen + 1;
            return seen == 0;
        });
    }
    void save(StateWriter& writer, const std::string& at) const override {
        writer.put(at + "seen", seen_.data(), {static_cast<int64_t>(seen_.size())});
    }
    void load(const StateReader& reader, const std::string& at) override {
        std::vector<uint32_t> seen = reader.get_array<uint32_t>(at + "seen");
        const auto possible = [this](uint32_t n) { return n < factor_; };
        if (seen.size() != seen_.size() || !std::all_of(seen.begin(), seen.end(), possible))
            throw Error(ErrorKind::model, "snapshot of a filter contradicts itself", at + "seen");
        seen_ = std::move(seen);
    }

  private:
    size_t of_stream(const Event* from, Event* to, size_t count) noexcept {
        size_t kept = 0;
        for (size_t i = factor_ - 1 - seen_[0]; i < count; i += factor_) to[kept++] = from[i];
        seen_[0] = static_cast<uint32_t>((seen_[0] + count) % factor_);
        return kept;
    }

    uint32_t factor_;
    int32_t width_;               // 0: all pixels together
    std::vector<uint32_t> seen_;  // since the last that passed
};

}  // namespace

std::unique_ptr<Filter> make_decimate(const Parameters& parameters, Area& area) {
    const auto factor = static_cast<uint32_t>(parameters.get("factor", 2, 1 << 30));
    return std::make_unique<Decimate>(factor, parameters.get("per", 0, 1) == 1, area);
}

}  // namespace edgesnn::events
