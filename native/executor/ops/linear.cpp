// linear: y[n] = float32(acc[n]) * scale[n] + bias[n], or the bare sums; docs/arithmetic.md, sections 3 to 5. The form
// is chosen at load by the types of weight and input; integer inputs read only the rows of active ones, or for a few
// spikes a table.
#include <cstring>

#include "executor/ops/weights.hpp"
#include "kernels/kernels.hpp"
#include "kernels/nibble_table.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kTableBytes = 16 << 10;  // half of a first-level cache

struct ActiveList final : Scratch {
    explicit ActiveList(size_t inputs) : indices(inputs) {}
    std::vector<uint32_t> indices;
};

class Linear final : public Op {
  public:
    explicit Linear(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer && x.kind != Kind::real) view.fail("input cannot be multiplied", describe(x));
        weights_ = Weights(view);
        const TensorSpec& weight = view.tensor("weight");
        if (weight.shape.size() != 2 || weight.shape[1] != x.shape.back())
            view.fail("tensor '" + weight.name + "' has another shape", "", "[N, " + std::to_string(x.columns()) + "]");
        skip_first_ = view.text("cold_start", {"run", "skip"}) == "skip";
        Shape shape = x.shape;
        shape.back() = weights_.outputs;
        outputs = {{weights_.wide ? Kind::wide : Kind::real, shape, weights_.largest}};
        input_stride_ = x.stride();
        columns_ = static_cast<int64_t>(x.columns());
        matrix_ = {weights_.data, weights_.wide ? nullptr : weights_.scale.data(), weights_.bias.data(), x.columns(),
                   outputs[0].stride()};
        if (x.kind == Kind::integer)
            choose_events(x.bound);
        else
            choose_dense();
    }

    bool batchable() const noexcept override { return !skip_first_; }

    std::unique_ptr<Scratch> scratch() const override { return std::make_unique<ActiveList>(input_stride_); }

    void run(const OpCall& call) const noexcept override {
        auto* active = static_cast<ActiveList*>(call.scratch)->indices.data();
        auto* out = static_cast<float*>(call.output);
        if (skip_first_ && call.step == 0) {
            std::memset(out, 0, call.rows * outputs[0].stride() * sizeof(float));
            return;
        }
        if (dense_ != nullptr) {
            dense_(matrix_, static_cast<const float*>(call.inputs[0]), input_stride_, call.rows, out);
            call.counters->macs += static_cast<int64_t>(call.rows) * columns_ * weights_.outputs;
            return;
        }
        const uint64_t sum =
            events_(matrix_, static_cast<const uint8_t*>(call.inputs[0]), input_stride_, call.rows, active, out);
        call.counters->synops += static_cast<int64_t>(sum) * weights_.outputs;
    }

  private:
    void choose_events(int64_t bound) {
        const kernels::Table& table = kernels::table();
        const bool spikes = bound == 1;
        events_ = weights_.number == Number::f32  ? table.events_f32
                  : weights_.number == Number::i8 ? (spikes ? table.spikes_i8 : table.counts_i8)
                                                  : (spikes ? table.spikes_i4 : table.counts_i4);
        const size_t groups = (matrix_.inputs + 3) / 4;
        const bool few = matrix_.inputs <= kernels::kNibbleInputs && groups * 16 * matrix_.stride * 2 <= kTableBytes;
        if (weights_.number != Number::i8 || weights_.wide || bound != 1 || !few) return;
        events_ = table.nibbles_i8;
        nibbles_ = kernels::nibble_table(static_cast<const int8_t*>(weights_.data), matrix_.inputs, matrix_.stride);
        matrix_.weights = nibbles_.data();
    }

    void choose_dense() {
        dense_ = kernels::table().lanes_f32;
        if (weights_.scaled) matrix_.scale = nullptr;
    }

    Weights weights_;
    bool skip_first_;
    size_t input_stride_;
    int64_t columns_;
    kernels::Matrix matrix_;
    kernels::LinearEvents* events_ = nullptr;
    kernels::LinearDense* dense_ = nullptr;
    std::vector<int16_t> nibbles_;
};

}  // namespace

std::unique_ptr<Op> make_linear(const NodeView& view) {
    return std::make_unique<Linear>(view);
}

}  // namespace edgesnn::executor
