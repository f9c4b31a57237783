// softmax: over the last axis; docs/arithmetic.md, section 6.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Softmax final : public Op {
  public:
    explicit Softmax(const NodeView& view) {
        view.expect(1, 1);
        if (view.inputs[0].kind != Kind::real)
            view.fail("input is of another kind", describe(view.inputs[0]), "float32 values");
        outputs = {view.inputs[0]};
    }

    void run(const OpCall& call) const noexcept override {
        kernels::table().softmax_f32(static_cast<const float*>(call.inputs[0]), call.rows, outputs[0].columns(),
                                     static_cast<float*>(call.output));
    }
};

}  // namespace

std::unique_ptr<Op> make_softmax(const NodeView& view) {
    return std::make_unique<Softmax>(view);
}

}  // namespace edgesnn::executor
