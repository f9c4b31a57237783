// Events of one polarity pass, or every polarity is exchanged.
#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Polarity final : public Filter {
  public:
    explicit Polarity(uint8_t kept) : kept_(kept) {}

    size_t apply(Event* events, size_t count) noexcept override {
        return keep_events(events, count, [this](const Event& event) { return event.p == kept_; });
    }

  private:
    uint8_t kept_;
};

class Swap final : public Filter {
  public:
    size_t apply(Event* events, size_t count) noexcept override {
        for (size_t i = 0; i < count; ++i) events[i].p ^= 1;
        return count;
    }
};

}  // namespace

std::unique_ptr<Filter> make_polarity(const Parameters& parameters, Area&) {
    const int64_t keep = parameters.get("keep", 0, 2);  // on, off, swap
    if (keep == 2) return std::make_unique<Swap>();
    return std::make_unique<Polarity>(keep == 0 ? uint8_t{1} : uint8_t{0});
}

}  // namespace edgesnn::events
