// accumulate: running sum, running mean or leaky sum over the steps.
#include <algorithm>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Accumulate final : public Op {
  public:
    explicit Accumulate(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer && x.kind != Kind::real) view.fail("input cannot be added up", describe(x));
        mode_ = view.text("mode", {"sum", "mean", "leaky"});
        integers_ = x.kind == Kind::integer;
        if (view.has("alpha") != (mode_ == "leaky")) view.fail("alpha belongs to mode 'leaky', and only there");
        outputs = {{Kind::real, x.shape, 0, x.last}};
        if (mode_ == "leaky") alpha_ = view.parameter("alpha", x, 0.0F);
        states = {{"sum", x.shape, Dtype::f32, 0, x.last}};
        if (mode_ == "mean") states.push_back({"steps", {}, Dtype::i64, 0, false, 0, {0, kMostSteps}});
    }

    bool rowwise() const noexcept override { return mode_ != "mean"; }  // the steps are counted once

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        float divisor = 1.0F;
        if (mode_ == "mean") {
            auto& steps = *static_cast<int64_t*>(call.states[1]);
            steps = static_cast<int64_t>(static_cast<uint64_t>(steps) + 1);
            divisor = static_cast<float>(steps);
        }
        auto* y = static_cast<float*>(call.output);
        auto* sum = static_cast<float*>(call.states[0]) + call.first_row * stride;
        float kept[Parameter::kBlock];
        for (size_t row = 0; row < call.rows; ++row)
            for (size_t first = 0; first < stride; first += Parameter::kBlock) {
                const size_t at = row * stride + first, length = std::min(Parameter::kBlock, stride - first);
                const float* alpha = alpha_.block(call.first_row + row, first, length, kept);
                add_block(call.inputs[0], at, alpha, length, divisor, sum + at, y + at);
            }
    }

  private:
    void add_block(const void* inputs, size_t at, const float* alpha, size_t length, float divisor, float* sum,
                   float* y) const noexcept {
        for (size_t n = 0; n < length; ++n) {
            const float x = integers_ ? static_cast<float>(static_cast<const uint8_t*>(inputs)[at + n])
                                      : static_cast<const float*>(inputs)[at + n];
            sum[n] = alpha == nullptr ? sum[n] + x : sum[n] * alpha[n] + x;
            y[n] = sum[n] / divisor;
        }
    }

    std::string mode_;
    bool integers_;
    Parameter alpha_;
};

}  // namespace

std::unique_ptr<Op> make_accumulate(const NodeView& view) {
    return std::make_unique<Accumulate>(view);
}

}  // namespace edgesnn::executor
