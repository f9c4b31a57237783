// concat: values of one kind after each other along an axis.
#include <algorithm>

#include "executor/moves.hpp"
#include "executor/op.hpp"

namespace edgesnn::executor {
namespace {

class Concat final : public Op {
  public:
    explicit Concat(const NodeView& view) {
        if (view.inputs.size() < 2 || view.node.outputs.size() != 1) view.fail("other number of inputs or outputs");
        ValueType to = view.inputs[0];
        const size_t axis = view.axis("axis", to.shape.size());
        for (size_t i = 1; i < view.inputs.size(); ++i) join(view, view.inputs[i], axis, to);
        if (to.kind == Kind::window || to.kind == Kind::token) view.fail("inputs cannot be joined", describe(to));
        if (to.shape[axis] > kMaxElements) view.fail("value is too large", describe(to));
        outputs = {to};
        size_t inner = 1, before = 0;
        for (size_t i = axis + 1; i < to.shape.size(); ++i) inner *= static_cast<size_t>(to.shape[i]);
        const size_t whole = static_cast<size_t>(to.shape[axis]) * inner;
        for (const ValueType& x : view.inputs) {
            moves_.emplace_back();
            const size_t span = static_cast<size_t>(x.shape[axis]) * inner, count = elements(x.shape);
            for (size_t flat = 0; flat < count; ++flat)
                moves_.back().add(x.place(flat), to.place(flat / span * whole + before + flat % span));
            before += span;
        }
    }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        clear_padding(outputs[0], call.output);
        for (size_t i = 0; i < moves_.size(); ++i) moves_[i].copy(outputs[0].item_size(), call.inputs[i], call.output);
    }

  private:
    static void join(const NodeView& view, const ValueType& x, size_t axis, ValueType& to) {
        ValueType other = x;
        if (other.shape.size() != to.shape.size() || other.kind != to.kind)
            view.fail("inputs cannot be joined", describe(to) + " and " + describe(x));
        other.shape[axis] = to.shape[axis];
        if (other.shape != to.shape) view.fail("inputs cannot be joined", describe(to) + " and " + describe(x));
        to.shape[axis] += x.shape[axis];
        to.bound = std::max(to.bound, x.bound);
    }

    std::vector<Moves> moves_;  // of each input
};

}  // namespace

std::unique_ptr<Op> make_concat(const NodeView& view) {
    return std::make_unique<Concat>(view);
}

}  // namespace edgesnn::executor
