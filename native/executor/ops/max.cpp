// max: [.., A, C] -> [.., C]. Row r of the input belongs to row r / A of the output; the first of a group of A is
// copied, the others are joined.
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Max final : public Op {
  public:
    explicit Max(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer || x.shape.size() < 2 || view.integer("axis", -8, -1) != -2)
            view.fail("input cannot be pooled", describe(x), "int values of at least two axes, axis -2");
        rows_ = x.rows();
        pooled_ = static_cast<size_t>(x.shape[x.shape.size() - 2]);
        Shape shape(x.shape.begin(), x.shape.end() - 2);
        shape.push_back(x.shape.back());
        outputs = {{Kind::integer, shape, x.bound}};
    }

    size_t rows(size_t) const noexcept override { return rows_; }
    size_t pooled_rows() const noexcept override { return pooled_; }
    size_t joined_rows() const noexcept override { return pooled_; }
    size_t output_row(size_t row) const noexcept override { return row / pooled_; }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        const auto* in = static_cast<const uint8_t*>(call.inputs[0]);
        auto* out = static_cast<uint8_t*>(call.output);
        size_t place = call.first_row % pooled_;  // in its group
        for (size_t row = 0; row < call.rows;) {
            const size_t count = std::min(pooled_ - place, call.rows - row);
            kernels::table().max_u8(in + row * stride, count, stride, place == 0, out);
            row += count;
            place = 0;
            out += stride;
        }
    }

  private:
    size_t rows_;
    size_t pooled_;
};

}  // namespace

std::unique_ptr<Op> make_max(const NodeView& view) {
    return std::make_unique<Max>(view);
}

}  // namespace edgesnn::executor
