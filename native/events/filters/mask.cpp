// Events inside the rectangle are dropped; the others stay where they are.
#include "events/filters/filters.hpp"
#include "events/filters/rectangle.hpp"

namespace edgesnn::events {
namespace {

class Mask final : public Filter {
  public:
    explicit Mask(const Rectangle& rectangle) : masked_(rectangle) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        return keep_events(from, to, count, [this](const Event& event) { return !masked_.holds(event); });
    }

  private:
    Rectangle masked_;
};

}  // namespace

std::unique_ptr<Filter> make_mask(const Parameters& parameters, Area& area) {
    return std::make_unique<Mask>(Rectangle(parameters, area));
}

}  // namespace edgesnn::events
