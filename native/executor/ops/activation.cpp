// activation: relu, relu2, sigmoid, silu or exp of each element.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Activation final : public Op {
  public:
    explicit Activation(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::real) view.fail("input is of another kind", describe(x), "float32 values");
        const std::string function = view.text("function", {"relu", "relu2", "sigmoid", "silu", "exp"});
        const kernels::Table& table = kernels::table();
        kernel_ = function == "relu"      ? table.relu_f32
                  : function == "relu2"   ? table.relu2_f32
                  : function == "sigmoid" ? table.sigmoid_f32
                  : function == "silu"    ? table.silu_f32
                                          : table.exp_f32;
        outputs = {x};
    }

    void run(const OpCall& call) const noexcept override {
        kernel_(static_cast<const float*>(call.inputs[0]), call.rows, outputs[0].columns(),
                static_cast<float*>(call.output));
    }

  private:
    kernels::Rows* kernel_;
};

}  // namespace

std::unique_ptr<Op> make_activation(const NodeView& view) {
    return std::make_unique<Activation>(view);
}

}  // namespace edgesnn::executor
