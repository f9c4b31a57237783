// embedding: the row of a table that a token names.
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Embedding final : public Op {
  public:
    explicit Embedding(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& token = view.inputs[0];
        const TensorSpec& weight = view.tensor("weight");
        bytes_ = weight.dtype == Dtype::i8;
        const bool rows = weight.layout == "rows" && weight.shape.size() == 2;
        if (token.kind != Kind::token || !rows || (!bytes_ && weight.dtype != Dtype::f32))
            view.fail("input is no token, or the table no int8 or float32 matrix", describe(token));
        if (weight.shape[0] <= token.bound)
            view.fail("table has fewer rows than the vocabulary", std::to_string(weight.shape[0]));
        if (bytes_ != view.has("scale")) view.fail("scale belongs to an int8 table");
        if (bytes_) scale_ = view.spread("scale", static_cast<size_t>(weight.shape[0]));
        table_ = weight.data;
        stored_ = static_cast<size_t>(weight.stored[1]);
        outputs = {{Kind::real, {weight.shape[1]}}};
    }

    void run(const OpCall& call) const noexcept override {
        auto* y = static_cast<float*>(call.output);
        const size_t columns = outputs[0].columns(), stride = outputs[0].stride();
        for (size_t row = 0; row < call.rows; ++row, y += stride) {
            const auto token = static_cast<size_t>(static_cast<const int64_t*>(call.inputs[0])[row * kLanes]);
            if (bytes_) {
                const int8_t* w = static_cast<const int8_t*>(table_) + token * stored_;
                for (size_t n = 0; n < columns; ++n) y[n] = static_cast<float>(w[n]) * scale_[token];
            } else {
                std::memcpy(y, static_cast<const float*>(table_) + token * stored_, columns * sizeof(float));
            }
            for (size_t n = columns; n < stride; ++n) y[n] = 0.0F;
        }
    }

  private:
    const void* table_;
    size_t stored_;  // elements of a row of the table
    bool bytes_;
    std::vector<float> scale_;
};

}  // namespace

std::unique_ptr<Op> make_embedding(const NodeView& view) {
    return std::make_unique<Embedding>(view);
}

}  // namespace edgesnn::executor
