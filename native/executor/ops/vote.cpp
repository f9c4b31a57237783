// vote: sum[c] += x[c * voters] + ... (ascending); y[c] = float32(sum[c]) / float32(voters * steps).
#include "executor/op.hpp"

namespace edgesnn::executor {
namespace {

// sum[c] += the votes of class c; y[c] = sum[c] / divisor.
template <typename In, typename Sum>
void count_votes(const In* x, size_t classes, size_t voters, float divisor, Sum* sum, float* y) noexcept {
    for (size_t c = 0; c < classes; ++c) {
        Sum total = 0;
        for (size_t i = 0; i < voters; ++i) total += static_cast<Sum>(x[c * voters + i]);
        sum[c] += total;
        y[c] = static_cast<float>(sum[c]) / divisor;
    }
}

class Vote final : public Op {
  public:
    explicit Vote(const NodeView& view) {
        view.expect(1, 1, 0);
        const ValueType& x = view.inputs[0];
        const int64_t classes = view.integer("classes"), voters = view.integer("voters");
        const bool sizes = classes >= 1 && voters >= 1 && classes <= kMaxElements && voters <= kMaxElements;
        if (!sizes || x.kind == Kind::window || x.shape != Shape{classes * voters})
            view.fail("input is not one vote a neuron", describe(x),
                      std::to_string(classes) + " classes * " + std::to_string(voters) + " voters");
        voters_ = static_cast<size_t>(voters);
        integers_ = x.kind == Kind::integer;
        outputs = {{Kind::real, {classes}, 0}};
        states = {{"sum", {classes}, integers_ ? Dtype::i64 : Dtype::f32}, {"steps", {}, Dtype::i64}};
    }

    bool steady() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        int64_t& steps = *static_cast<int64_t*>(call.states[1]);
        ++steps;
        const float divisor = static_cast<float>(static_cast<int64_t>(voters_) * steps);
        const size_t classes = outputs[0].columns();
        auto* y = static_cast<float*>(call.output);
        if (integers_)
            count_votes(static_cast<const uint8_t*>(call.inputs[0]), classes, voters_, divisor,
                        static_cast<int64_t*>(call.states[0]), y);
        else
            count_votes(static_cast<const float*>(call.inputs[0]), classes, voters_, divisor,
                        static_cast<float*>(call.states[0]), y);
    }

  private:
    size_t voters_;
    bool integers_;
};

}  // namespace

std::unique_ptr<Op> make_vote(const NodeView& view) {
    return std::make_unique<Vote>(view);
}

}  // namespace edgesnn::executor
