// Events of one polarity pass, or every polarity is exchanged.
#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Polarity final : public Filter {
  public:
    explicit Polarity(uint8_t kept) : kept_(kept) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        return keep_events(from, to, count, [this](const Event& event) { return event.p == kept_; });
    }

  private:
    uint8_t kept_;
};

}  // namespace

std::unique_ptr<Filter> make_polarity(const Parameters& parameters, Area&) {
    const int64_t keep = parameters.get("keep", 0, 2);  // on, off, swap
    const EventLanes polarity = {0, 0, 0, 0, 0, 0, 1, 0};
    if (keep == 2) return changing([polarity](EventLanes event) { return event ^ polarity; });
    return std::make_unique<Polarity>(keep == 0 ? uint8_t{1} : uint8_t{0});
}

}  // namespace edgesnn::events
