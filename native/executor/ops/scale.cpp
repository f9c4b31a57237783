// scale: y = x * scale + bias, by channel or by element.
#include <algorithm>

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
    bool batchable() const noexcept override { return scale_.uniform() && bias_.uniform(); }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        auto* y = static_cast<float*>(call.output);
        if (batchable() && !integers_)
            return kernels::table().scale_f32(static_cast<const float*>(call.inputs[0]), scale_.row(0), bias_.row(0),
                                              call.rows, stride, y);
        float kept[2][Parameter::kBlock];
        for (size_t row = 0; row < call.rows; ++row)
            for (size_t first = 0; first < stride; first += Parameter::kBlock) {
                const size_t at = row * stride + first, length = std::min(Parameter::kBlock, stride - first);
                const float* scale = scale_.block(call.first_row + row, first, length, kept[0]);
                const float* bias = bias_.block(call.first_row + row, first, length, kept[1]);
                scale_block(call.inputs[0], at, scale, bias, length, y + at);
            }
    }

  private:
    void scale_block(const void* x, size_t at, const float* scale, const float* bias, size_t length,
                     float* y) const noexcept {
        if (!integers_) return kernels::table().scale_f32(static_cast<const float*>(x) + at, scale, bias, 1, length, y);
        const auto* bytes = static_cast<const uint8_t*>(x) + at;
        for (size_t n = 0; n < length; ++n) y[n] = static_cast<float>(bytes[n]) * scale[n] + bias[n];
    }

    bool integers_;
    Parameter scale_, bias_;
};

}  // namespace

std::unique_ptr<Op> make_scale(const NodeView& view) {
    return std::make_unique<Scale>(view);
}

}  // namespace edgesnn::executor
