// layer_norm: over the last axis; docs/arithmetic.md, section 5.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class LayerNorm final : public Op {
  public:
    explicit LayerNorm(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::real) view.fail("input is of another kind", describe(x), "float32 values");
        weight_ = view.spread("weight", x.columns());
        bias_ = view.spread("bias", x.columns());
        eps_ = static_cast<float>(view.real("eps"));
        outputs = {x};
    }

    void run(const OpCall& call) const noexcept override {
        kernels::table().layer_norm_f32(static_cast<const float*>(call.inputs[0]), weight_.data(), bias_.data(), eps_,
                                        call.rows, outputs[0].columns(), static_cast<float*>(call.output));
    }

  private:
    std::vector<float> weight_, bias_;
    float eps_;
};

}  // namespace

std::unique_ptr<Op> make_layer_norm(const NodeView& view) {
    return std::make_unique<LayerNorm>(view);
}

}  // namespace edgesnn::executor
