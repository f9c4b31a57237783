// count: running total of small integers.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Count final : public Op {
  public:
    explicit Count(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer) view.fail("input is not small integers", describe(x), "int values");
        outputs = {{Kind::real, x.shape, 0, x.last}};
        states = {{"total", x.shape, Dtype::i64, 0, x.last, 0, {0, 255 * kMostSteps}}};
    }

    void run(const OpCall& call) const noexcept override {
        const size_t n = call.rows * outputs[0].stride();
        auto* total = static_cast<int64_t*>(call.states[0]) + call.first_row * outputs[0].stride();
        const auto* x = static_cast<const uint8_t*>(call.inputs[0]);
        auto* y = static_cast<float*>(call.output);
        for (size_t i = 0; i < n; ++i) {
            total[i] = static_cast<int64_t>(static_cast<uint64_t>(total[i]) + x[i]);  // a restored total may be any
            y[i] = static_cast<float>(total[i]);
        }
    }
};

}  // namespace

std::unique_ptr<Op> make_count(const NodeView& view) {
    return std::make_unique<Count>(view);
}

}  // namespace edgesnn::executor
