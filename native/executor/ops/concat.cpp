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
        to_.emplace_back(to, axis);
        for (const ValueType& x : view.inputs) {
            from_.emplace_back(x, axis);
            lengths_.push_back(static_cast<size_t>(x.shape[axis]));
        }
    }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        clear_padding(outputs[0], call.output);
        size_t to = 0;
        for (size_t i = 0; i < from_.size(); ++i) {
            copy_indices(from_[i], call.inputs[i], 0, lengths_[i], to_.front(), call.output, to);
            to += lengths_[i];
        }
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

    std::vector<AxisPlaces> from_, to_;  // of each input; one
    std::vector<size_t> lengths_;        // of each input, along the axis
};

}  // namespace

std::unique_ptr<Op> make_concat(const NodeView& view) {
    return std::make_unique<Concat>(view);
}

}  // namespace edgesnn::executor
