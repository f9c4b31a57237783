// scale: y = x * scale + bias, by channel or by element.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Scale final : public Op {
  public:
    explicit Scale(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::real && x.kind != Kind::integer) view.fail("input cannot be scaled", describe(x));
        integers_ = x.kind == Kind::integer;
        outputs = {{Kind::real, x.shape, 0, x.last}};
        scale_ = view.parameter("scale", x, 0.0F);
        bias_ = view.parameter("bias", x, 0.0F);
    }

    // Parameters of each place follow the rows of one step.
    bool batchable() const noexcept override { return scale_.step == 0 && bias_.step == 0; }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        auto* y = static_cast<float*>(call.output);
        if (integers_) return scale_bytes(call, y);
        const auto* x = static_cast<const float*>(call.inputs[0]);
        if (batchable()) return kernels::table().scale_f32(x, scale_.row(0), bias_.row(0), call.rows, stride, y);
        for (size_t row = 0; row < call.rows; ++row)
            kernels::table().scale_f32(x + row * stride, scale_.row(call.first_row + row),
                                       bias_.row(call.first_row + row), 1, stride, y + row * stride);
    }

  private:
    void scale_bytes(const OpCall& call, float* y) const noexcept {
        const size_t stride = outputs[0].stride();
        const auto* x = static_cast<const uint8_t*>(call.inputs[0]);
        for (size_t row = 0; row < call.rows; ++row, x += stride, y += stride) {
            const float *scale = scale_.row(call.first_row + row), *bias = bias_.row(call.first_row + row);
            for (size_t n = 0; n < stride; ++n) y[n] = static_cast<float>(x[n]) * scale[n] + bias[n];
        }
    }

    bool integers_;
    Parameter scale_, bias_;
};

}  // namespace

std::unique_ptr<Op> make_scale(const NodeView& view) {
    return std::make_unique<Scale>(view);
}

}  // namespace edgesnn::executor
