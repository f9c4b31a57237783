// concat: values of one kind after each other along an axis.
#include <algorithm>
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

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
        inputs_ = view.inputs;
        size_t inner = 1;
        for (size_t i = axis + 1; i < to.shape.size(); ++i) inner *= static_cast<size_t>(to.shape[i]);
        for (const ValueType& x : inputs_) spans_.push_back(static_cast<size_t>(x.shape[axis]) * inner);
    }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        const ValueType& to = outputs[0];
        const size_t item = to.item_size();
        auto* out = static_cast<uint8_t*>(call.output);
        std::memset(out, 0, to.rows() * to.stride() * item);
        const size_t outer = elements(inputs_[0].shape) / spans_[0];
        size_t flat = 0;
        for (size_t o = 0; o < outer; ++o)
            for (size_t i = 0; i < inputs_.size(); ++i) {
                const auto* from = static_cast<const uint8_t*>(call.inputs[i]);
                for (size_t j = 0; j < spans_[i]; ++j, ++flat)
                    std::memcpy(out + to.place(flat) * item, from + inputs_[i].place(o * spans_[i] + j) * item, item);
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

    std::vector<ValueType> inputs_;
    std::vector<size_t> spans_;  // elements of each input that follow each other
};

}  // namespace

std::unique_ptr<Op> make_concat(const NodeView& view) {
    return std::make_unique<Concat>(view);
}

}  // namespace edgesnn::executor
