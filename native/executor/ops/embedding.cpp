// embedding: the row of a table that a token names; int8 and int4 times their scale, as docs/operators.md says.
#include <cstring>

#include "executor/ops/weights.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Embedding final : public Op {
  public:
    explicit Embedding(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& token = view.inputs[0];
        const TensorSpec& weight = view.tensor("weight");
        const bool halves = weight.layout == "om16x8", bytes = weight.dtype == Dtype::i8;
        const bool rows = weight.layout == "rows" && (bytes || weight.dtype == Dtype::f32);
        if (token.kind != Kind::token || !(rows || halves) || weight.shape.size() != 2)
            view.fail("input is no token, or the table no int4, int8 or float32 matrix", describe(token));
        number_ = halves ? Number::i4 : bytes ? Number::i8 : Number::f32;
        if (weight.shape[0] <= token.bound)
            view.fail("table has fewer rows than the vocabulary", std::to_string(weight.shape[0]));
        if (view.has("scale") != (number_ != Number::f32)) view.fail("scale belongs to a table of integers");
        if (view.has("multiplier") != halves) view.fail("multiplier belongs to an int4 table");
        if (number_ != Number::f32) scale_ = view.spread("scale", static_cast<size_t>(weight.shape[0]));
        if (halves) groups_ = read_groups(view, weight, group_size(view, weight));
        table_ = weight.data;
        stored_ = static_cast<size_t>(weight.stored[1]);
        outputs = {{Kind::real, {weight.shape[1]}}};
    }

    void run(const OpCall& call) const noexcept override {
        auto* y = static_cast<float*>(call.output);
        const size_t columns = outputs[0].columns(), stride = outputs[0].stride();
        for (size_t row = 0; row < call.rows; ++row, y += stride) {
            const auto token = static_cast<size_t>(static_cast<const int64_t*>(call.inputs[0])[row * kLanes]);
            if (number_ == Number::i4) {
                read_int4(token, columns, y);
            } else if (number_ == Number::i8) {
                const int8_t* w = static_cast<const int8_t*>(table_) + token * stored_;
                for (size_t n = 0; n < columns; ++n) y[n] = static_cast<float>(w[n]) * scale_[token];
            } else {
                std::memcpy(y, static_cast<const float*>(table_) + token * stored_, columns * sizeof(float));
            }
            for (size_t n = columns; n < stride; ++n) y[n] = 0.0F;
        }
    }

  private:
    static int64_t group_size(const NodeView& view, const TensorSpec& weight) {
        const int64_t groups = view.tensor("multiplier").shape.back(), columns = weight.stored[1] * 8;
        for (int64_t size = 32; size < 128; size *= 2)
            if (groups * size == columns) return size;
        return 128;
    }

    // Four bytes hold eight columns, the low halves the first four.
    void read_int4(size_t token, size_t columns, float* y) const noexcept {
        const uint8_t* w = static_cast<const uint8_t*>(table_) + (token / 16 * stored_ * 16 + token % 16) * 4;
        const float scale = scale_[token];
        for (size_t n = 0; n < columns; ++n) {
            const uint8_t byte = w[n / 8 * 64 + n % 4];
            const int32_t m = groups_.multipliers[n / groups_.size * groups_.stride + token];
            y[n] = static_cast<float>(m * ((n % 8 < 4 ? byte & 15 : byte >> 4) - 8)) * scale;
        }
    }

    const void* table_;
    size_t stored_;  // of a row of the table: elements, of int4 blocks of eight
    Number number_;
    std::vector<float> scale_;
    Groups groups_{};
};

}  // namespace

std::unique_ptr<Op> make_embedding(const NodeView& view) {
    return std::make_unique<Embedding>(view);
}

}  // namespace edgesnn::executor
