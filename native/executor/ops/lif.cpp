// lif: v = v * alpha + x; s = v >= v_th ("ge") or v > v_th ("gt"); then 0 where s ("zero"), v - v_th where s
// ("subtract"), or left alone ("none"). docs/arithmetic.md, section 7.
#include <limits>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Lif final : public Op {
  public:
    explicit Lif(const NodeView& view) {
        view.expect(1, 1, 2);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::real) view.fail("input is not a current", describe(x), "float32 values");
        const bool ge = view.text("compare", {"ge", "gt"}) == "ge";
        const std::string reset = view.text("reset", {"zero", "subtract", "none"});
        view.text("spike", {"binary"});
        kernel_ = choose(ge, reset);
        alpha_ = view.spread("alpha", x.columns(), true, 0.0F);
        v_th_ = view.spread("v_th", x.columns(), true, std::numeric_limits<float>::infinity());  // padding never fires
        outputs = {{Kind::integer, x.shape, 1}};
        states = {{"v", x.shape, Dtype::f32}};
    }

    bool steady() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        auto* v = static_cast<float*>(call.states[0]) + call.first_row * stride;
        call.counters->spikes +=
            static_cast<int64_t>(kernel_(alpha_.data(), v_th_.data(), static_cast<const float*>(call.inputs[0]),
                                         call.rows, stride, v, static_cast<uint8_t*>(call.output)));
    }

  private:
    static kernels::Lif* choose(bool ge, const std::string& reset) {
        const kernels::Table& table = kernels::table();
        if (reset == "zero") return ge ? table.lif_ge_zero : table.lif_gt_zero;
        if (reset == "subtract") return ge ? table.lif_ge_subtract : table.lif_gt_subtract;
        return ge ? table.lif_ge_none : table.lif_gt_none;
    }

    kernels::Lif* kernel_;
    std::vector<float> alpha_;
    std::vector<float> v_th_;
};

}  // namespace

std::unique_ptr<Op> make_lif(const NodeView& view) {
    return std::make_unique<Lif>(view);
}

}  // namespace edgesnn::executor
