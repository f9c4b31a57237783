// multiply: y = a * b, float32; the second may be small integers.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Multiply final : public Op {
  public:
    explicit Multiply(const NodeView& view) {
        view.expect(2, 1);
        const ValueType &a = view.inputs[0], &b = view.inputs[1];
        if (a.kind != Kind::real || (b.kind != Kind::real && b.kind != Kind::integer) || a.shape != b.shape)
            view.fail("inputs cannot be multiplied", describe(a) + " and " + describe(b),
                      "float32 and float32 or int of one shape");
        integers_ = b.kind == Kind::integer;
        outputs = {a};
    }

    void run(const OpCall& call) const noexcept override {
        const size_t n = call.rows * outputs[0].stride();
        const auto* a = static_cast<const float*>(call.inputs[0]);
        auto* y = static_cast<float*>(call.output);
        if (!integers_) return kernels::table().multiply_f32(a, static_cast<const float*>(call.inputs[1]), n, y);
        const auto* b = static_cast<const uint8_t*>(call.inputs[1]);
        for (size_t i = 0; i < n; ++i) y[i] = a[i] * static_cast<float>(b[i]);
    }

  private:
    bool integers_;
};

}  // namespace

std::unique_ptr<Op> make_multiply(const NodeView& view) {
    return std::make_unique<Multiply>(view);
}

}  // namespace edgesnn::executor
