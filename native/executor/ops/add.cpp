// add: y = a + b of one shape and kind, or float32 and small integers.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Add final : public Op {
  public:
    explicit Add(const NodeView& view) {
        view.expect(2, 1);
        const ValueType &a = view.inputs[0], &b = view.inputs[1];
        const bool same = a.kind == b.kind && a.kind != Kind::window && a.kind != Kind::token;
        mixed_ = a.kind == Kind::real && b.kind == Kind::integer;
        if (a.shape != b.shape || (!same && !mixed_))
            view.fail("inputs cannot be added", describe(a) + " and " + describe(b),
                      "one kind, or float32 then int, of one shape");
        const int64_t bound = mixed_ ? 0 : a.bound + b.bound;
        if (a.kind == Kind::integer && bound > 255) view.fail("sum may not fit a byte", std::to_string(bound));
        if (bound > INT32_MAX) view.fail("sum may not fit 32 bits", std::to_string(bound));
        outputs = {{a.kind, a.shape, bound, a.last}};
        ones_ = a.kind == Kind::integer && a.bound == 1 && b.bound == 1 && !a.last;
    }

    // The maximum over rows of two values of zeros and ones, as bits.
    bool fuses(const Op& next) const noexcept override {
        return ones_ && next.pooled_rows() != 0 && outputs[0].stride() <= kernels::kBitColumns;
    }
    bool reads_bits() const noexcept override { return true; }
    bool needs_bits() const noexcept override { return true; }

    void run_fused(const OpCall& call, const Op& op, const OpCall& next) const noexcept override {
        const auto *a = static_cast<const uint64_t*>(call.inputs[0]), *b = static_cast<const uint64_t*>(call.inputs[1]);
        const size_t pooled = op.pooled_rows(), stride = outputs[0].stride();
        auto* out = static_cast<uint8_t*>(next.output);
        for (size_t row = 0; row < call.rows; row += pooled, out += stride)  // a tile holds all rows of a maximum
            kernels::table().max_bits(a + row, b + row, pooled, stride, out);
    }

    void run(const OpCall& call) const noexcept override {
        const size_t n = call.rows * outputs[0].stride();
        if (outputs[0].kind == Kind::integer)
            return kernels::table().add_u8(static_cast<const uint8_t*>(call.inputs[0]),
                                           static_cast<const uint8_t*>(call.inputs[1]), n,
                                           static_cast<uint8_t*>(call.output));
        if (mixed_) return add_bytes(call, n);
        if (outputs[0].kind == Kind::real)
            return kernels::table().add_f32(static_cast<const float*>(call.inputs[0]),
                                            static_cast<const float*>(call.inputs[1]), n,
                                            static_cast<float*>(call.output));
        // Unsigned: a delay line's view may be set to anything.
        const auto *a = static_cast<const uint32_t*>(call.inputs[0]), *b = static_cast<const uint32_t*>(call.inputs[1]);
        for (size_t i = 0; i < n; ++i) static_cast<uint32_t*>(call.output)[i] = a[i] + b[i];
    }

  private:
    static void add_bytes(const OpCall& call, size_t n) noexcept {
        const auto* a = static_cast<const float*>(call.inputs[0]);
        const auto* b = static_cast<const uint8_t*>(call.inputs[1]);
        auto* y = static_cast<float*>(call.output);
        for (size_t i = 0; i < n; ++i) y[i] = a[i] + static_cast<float>(b[i]);
    }

    bool ones_, mixed_;
};

}  // namespace

std::unique_ptr<Op> make_add(const NodeView& view) {
    return std::make_unique<Add>(view);
}

}  // namespace edgesnn::executor
