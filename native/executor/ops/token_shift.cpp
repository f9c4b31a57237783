// token_shift: y = x * mix + previous * keep.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class TokenShift final : public Op {
  public:
    explicit TokenShift(const NodeView& view) {
        view.expect(2, 1);
        const ValueType &x = view.inputs[0], &previous = view.inputs[1];
        if (x.kind != Kind::real || previous.kind != Kind::real || x.shape != previous.shape)
            view.fail("inputs cannot be mixed", describe(x) + " and " + describe(previous),
                      "two float32 values of one shape");
        mix_ = view.spread("mix", x.columns());
        keep_ = view.spread("keep", x.columns());
        outputs = {x};
    }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        const auto *x = static_cast<const float*>(call.inputs[0]), *old = static_cast<const float*>(call.inputs[1]);
        auto* y = static_cast<float*>(call.output);
        for (size_t row = 0; row < call.rows; ++row, x += stride, old += stride, y += stride)
            kernels::table().shift_f32(x, old, mix_.data(), keep_.data(), stride, y);
    }

  private:
    std::vector<float> mix_, keep_;
};

}  // namespace

std::unique_ptr<Op> make_token_shift(const NodeView& view) {
    return std::make_unique<TokenShift>(view);
}

}  // namespace edgesnn::executor
