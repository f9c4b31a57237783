// linear: y[n] = float32(acc[n]) * scale[n] + bias[n]; docs/arithmetic.md, sections 3 to 5. Three forms, chosen at load
// by the types of weight and input; integer inputs read only the rows of active ones, or for a few spikes a table.
#include <algorithm>

#include "executor/op.hpp"
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
        view.expect(1, 1, 3);
        const ValueType& x = view.inputs[0];
        const bool integers = view.text("activations", {"int", "float32"}) == "int";
        const TensorSpec& weight = view.tensor("weight");
        if (x.kind != (integers ? Kind::integer : Kind::real)) view.fail("input is of another kind", describe(x));
        if (weight.shape.size() != 2 || weight.shape[1] != x.shape.back())
            view.fail("tensor '" + weight.name + "' has another shape", "", "[N, " + std::to_string(x.columns()) + "]");
        fan_out_ = weight.shape[0];
        if (weight.dtype == Dtype::i8) check_range(view, weight);
        if (weight.dtype == Dtype::i8 && 127 * weight.shape[1] * x.bound > INT32_MAX)
            view.fail("sums may not fit 32 bits", describe(x));
        Shape shape = x.shape;
        shape.back() = fan_out_;
        outputs = {{Kind::real, shape, 0}};
        const size_t columns = outputs[0].columns();
        scale_ = view.spread("scale", columns, false, 0.0F);
        bias_ = view.spread("bias", columns, false, 0.0F);
        input_stride_ = x.stride();
        matrix_ = {weight.data, scale_.data(), bias_.data(), x.columns(), outputs[0].stride()};
        if (integers)
            choose_events(weight, x.bound);
        else
            choose_dense(weight);
    }

    std::unique_ptr<Scratch> scratch() const override { return std::make_unique<ActiveList>(input_stride_); }

    void run(const OpCall& call) const noexcept override {
        auto* active = static_cast<ActiveList*>(call.scratch)->indices.data();
        auto* out = static_cast<float*>(call.output);
        if (dense_ != nullptr) {
            dense_(matrix_, static_cast<const float*>(call.inputs[0]), input_stride_, call.rows, out);
            return;
        }
        const uint64_t sum =
            events_(matrix_, static_cast<const uint8_t*>(call.inputs[0]), input_stride_, call.rows, active, out);
        call.counters->synops += static_cast<int64_t>(sum) * fan_out_;
    }

  private:
    static void check_range(const NodeView& view, const TensorSpec& weight) {
        const auto* bytes = static_cast<const int8_t*>(weight.data);
        if (std::find(bytes, bytes + weight.stored[0] * weight.stored[1], -128) !=
            bytes + weight.stored[0] * weight.stored[1])
            view.fail("weight of tensor '" + weight.name + "' is out of range", "-128", "-127 to 127");
    }

    void choose_events(const TensorSpec& weight, int64_t bound) {
        const kernels::Table& table = kernels::table();
        events_ = weight.dtype == Dtype::f32 ? table.events_f32 : bound == 1 ? table.spikes_i8 : table.counts_i8;
        const size_t groups = (matrix_.inputs + 3) / 4;
        const bool few = matrix_.inputs <= kernels::kNibbleInputs && groups * 16 * matrix_.stride * 2 <= kTableBytes;
        if (weight.dtype == Dtype::f32 || bound != 1 || !few) return;
        events_ = table.nibbles_i8;
        nibbles_ = kernels::nibble_table(static_cast<const int8_t*>(weight.data), matrix_.inputs, matrix_.stride);
        matrix_.weights = nibbles_.data();
    }

    void choose_dense(const TensorSpec& weight) {
        dense_ = kernels::table().lanes_f32;
        if (weight.dtype == Dtype::f32) return;
        scaled_.resize(static_cast<size_t>(weight.stored[0] * weight.stored[1]));  // w' = float32(w) * scale
        const auto* bytes = static_cast<const int8_t*>(weight.data);
        for (size_t i = 0; i < scaled_.size(); ++i)
            scaled_[i] = static_cast<float>(bytes[i]) * scale_[i % matrix_.stride];
        matrix_.weights = scaled_.data();
        matrix_.scale = nullptr;
    }

    int64_t fan_out_;
    size_t input_stride_;
    kernels::Matrix matrix_;
    kernels::LinearEvents* events_ = nullptr;
    kernels::LinearDense* dense_ = nullptr;
    std::vector<float> scale_, bias_, scaled_;
    std::vector<int16_t> nibbles_;
};

}  // namespace

std::unique_ptr<Op> make_linear(const NodeView& view) {
    return std::make_unique<Linear>(view);
}

}  // namespace edgesnn::executor
