// reshape: the same elements in C order of another shape.
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Reshape final : public Op {
  public:
    Reshape(const ValueType& from, const ValueType& to) : from_(from) { outputs = {to}; }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        const ValueType& to = outputs[0];
        const size_t item = to.item_size(), columns = to.columns(), stride = to.stride();
        const auto* from = static_cast<const uint8_t*>(call.inputs[0]);
        auto* out = static_cast<uint8_t*>(call.output);
        size_t flat = 0;
        for (size_t row = 0; row < to.rows(); ++row, out += stride * item) {
            for (size_t column = 0; column < columns; ++column, ++flat)
                std::memcpy(out + column * item, from + from_.place(flat) * item, item);
            std::memset(out + columns * item, 0, (stride - columns) * item);
        }
    }

  private:
    ValueType from_;
};

}  // namespace

std::unique_ptr<Op> make_reshape(const NodeView& view) {
    view.expect(1, 1);
    const ValueType& x = view.inputs[0];
    ValueType to = x;
    to.shape = view.integers("shape");
    to.last = false;
    int64_t count = 1;
    for (const int64_t n : to.shape) {
        if (n < 1 || n > kMaxElements || (count *= n) > kMaxElements) view.fail("shape is wrong", std::to_string(n));
    }
    if (x.kind == Kind::window || x.kind == Kind::token || to.shape.empty() ||
        static_cast<size_t>(count) != elements(x.shape))
        view.fail("input has another number of elements", describe(x), describe(to));
    return std::make_unique<Reshape>(x, to);
}

std::unique_ptr<Op> make_plain(const ValueType& from) {
    ValueType to = from;
    to.last = false;
    return std::make_unique<Reshape>(from, to);
}

}  // namespace edgesnn::executor
