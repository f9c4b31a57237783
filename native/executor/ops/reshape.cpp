// reshape: the same elements in C order of another shape.
#include "executor/moves.hpp"
#include "executor/op.hpp"

namespace edgesnn::executor {
namespace {

class Reshape final : public Op {
  public:
    Reshape(const ValueType& from, const ValueType& to) : reorder_(from, to) { outputs = {to}; }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        clear_padding(outputs[0], call.output);
        reorder_.copy(call.inputs[0], call.output);
    }

  private:
    Reorder reorder_;
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
