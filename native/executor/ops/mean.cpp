// mean: [.., A, C] -> [.., C]; sums in sixteen lanes over A (exact for integers), then divided by A.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Mean final : public Op {
  public:
    explicit Mean(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if ((x.kind != Kind::real && x.kind != Kind::integer) || x.shape.size() < 2 || view.axis("axis", 2) != 0)
            view.fail("input cannot be averaged", describe(x), "values of at least two axes, axis -2");
        from_ = x;
        count_ = static_cast<size_t>(x.shape[x.shape.size() - 2]);
        Shape shape(x.shape.begin(), x.shape.end() - 2);
        shape.push_back(x.shape.back());
        outputs = {{Kind::real, shape}};
    }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        auto* y = static_cast<float*>(call.output);
        for (size_t row = 0; row < outputs[0].rows(); ++row, y += stride)
            for (size_t column = 0; column < stride; ++column)
                y[column] = from_.kind == Kind::real
                                ? lanes(static_cast<const float*>(call.inputs[0]) + row * count_ * stride + column)
                                : whole(static_cast<const uint8_t*>(call.inputs[0]) + row * count_ * stride + column);
    }

  private:
    float lanes(const float* x) const noexcept {
        float lane[kLanes] = {};
        for (size_t a = 0; a < count_; ++a) lane[a % kLanes] = lane[a % kLanes] + x[a * outputs[0].stride()];
        for (size_t half = kLanes / 2; half > 0; half /= 2)
            for (size_t j = 0; j < half; ++j) lane[j] = lane[j] + lane[j + half];
        return lane[0] / static_cast<float>(count_);
    }

    float whole(const uint8_t* x) const noexcept {
        int64_t sum = 0;
        for (size_t a = 0; a < count_; ++a) sum += x[a * outputs[0].stride()];
        return static_cast<float>(sum) / static_cast<float>(count_);
    }

    ValueType from_;
    size_t count_;
};

}  // namespace

std::unique_ptr<Op> make_mean(const NodeView& view) {
    return std::make_unique<Mean>(view);
}

}  // namespace edgesnn::executor
