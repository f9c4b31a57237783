// wkv: RWKV-4's weighted sum of values, kept as numerator, denominator and largest exponent; docs/operators.md.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Wkv final : public Op {
  public:
    explicit Wkv(const NodeView& view) {
        view.expect(2, 1);
        const ValueType &k = view.inputs[0], &v = view.inputs[1];
        if (k.kind != Kind::real || v.kind != Kind::real || k.shape != v.shape || k.shape.size() != 1)
            view.fail("inputs are no keys and values", describe(k) + " and " + describe(v), "two float32 vectors");
        bonus_ = view.spread("bonus", k.columns());
        decay_ = view.spread("decay", k.columns());
        outputs = {k};
        states = {{"aa", k.shape, Dtype::f32}, {"bb", k.shape, Dtype::f32}, {"pp", k.shape, Dtype::f32, -1e38}};
    }

    void run(const OpCall& call) const noexcept override {
        const ValueType& type = outputs[0];
        auto* y = static_cast<float*>(call.output);
        kernels::table().wkv_f32(static_cast<const float*>(call.inputs[0]), static_cast<const float*>(call.inputs[1]),
                                 bonus_.data(), decay_.data(), type.stride(), static_cast<float*>(call.states[0]),
                                 static_cast<float*>(call.states[1]), static_cast<float*>(call.states[2]), y);
        for (size_t i = type.columns(); i < type.stride(); ++i) y[i] = 0.0F;
    }

  private:
    std::vector<float> bonus_, decay_;
};

}  // namespace

std::unique_ptr<Op> make_wkv(const NodeView& view) {
    return std::make_unique<Wkv>(view);
}

}  // namespace edgesnn::executor
