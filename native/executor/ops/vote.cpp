// vote: sum[c] += x[c * voters] + ... (ascending); y[c] = float32(sum[c]) / float32(voters * steps).
#include <algorithm>

#include "executor/op.hpp"

namespace edgesnn::executor {
namespace {

// A restored sum may be any number: integers wrap.
int64_t wrap_add(int64_t a, int64_t b) noexcept {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
float wrap_add(float a, float b) noexcept {
    return a + b;
}

// sum[c] += the votes of class c; y[c] = sum[c] / divisor.
template <typename In, typename Sum>
void count_votes(const In* x, size_t classes, size_t voters, float divisor, Sum* sum, float* y) noexcept {
    for (size_t c = 0; c < classes; ++c) {
        Sum total = 0;
        for (size_t i = 0; i < voters; ++i) total += static_cast<Sum>(x[c * voters + i]);
        sum[c] = wrap_add(sum[c], total);
        y[c] = static_cast<float>(sum[c]) / divisor;
    }
}

class Vote final : public Op {
  public:
    explicit Vote(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        const int64_t classes = view.integer("classes", 1, kMaxElements),
                      voters = view.integer("voters", 1, kMaxElements);
        if ((x.kind != Kind::integer && x.kind != Kind::real) || x.shape != Shape{classes * voters})
            view.fail("input is not one vote a neuron", describe(x),
                      std::to_string(classes) + " classes * " + std::to_string(voters) + " voters");
        voters_ = static_cast<size_t>(voters);
        integers_ = x.kind == Kind::integer;
        outputs = {{Kind::real, {classes}, 0}};
        constexpr int64_t kLargest = int64_t{1} << 62;  // there is room for many steps more
        states = {{"sum", {classes}, integers_ ? Dtype::i64 : Dtype::f32, 0, false, 0, {0, kLargest}},
                  {"steps", {}, Dtype::i64, 0, false, 0, {0, std::min(kMostSteps, kLargest / voters)}}};
    }

    void run(const OpCall& call) const noexcept override {
        int64_t& steps = *static_cast<int64_t*>(call.states[1]);
        steps = static_cast<int64_t>(static_cast<uint64_t>(steps) + 1);  // a restored number may be any
        const float divisor = static_cast<float>(static_cast<int64_t>(voters_ * static_cast<uint64_t>(steps)));
        const size_t classes = outputs[0].columns();
        auto* y = static_cast<float*>(call.output);
        if (integers_)
            count_votes(static_cast<const uint8_t*>(call.inputs[0]), classes, voters_, divisor,
                        static_cast<int64_t*>(call.states[0]), y);
        else
            count_votes(static_cast<const float*>(call.inputs[0]), classes, voters_, divisor,
                        static_cast<float*>(call.states[0]), y);
        for (size_t c = classes; c < outputs[0].stride(); ++c) y[c] = 0.0F;
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
