// add: y = a + b in bytes; the bounds add up to at most 255.
#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Add final : public Op {
  public:
    explicit Add(const NodeView& view) {
        view.expect(2, 1, 0);
        const ValueType &a = view.inputs[0], &b = view.inputs[1];
        if (a.kind != Kind::integer || b.kind != Kind::integer || a.shape != b.shape)
            view.fail("inputs cannot be added", describe(a) + " and " + describe(b), "two int values of one shape");
        if (a.bound + b.bound > 255) view.fail("sum may not fit a byte", std::to_string(a.bound + b.bound));
        outputs = {{Kind::integer, a.shape, a.bound + b.bound}};
    }

    void run(const OpCall& call) const noexcept override {
        kernels::table().add_u8(static_cast<const uint8_t*>(call.inputs[0]),
                                static_cast<const uint8_t*>(call.inputs[1]), call.rows * outputs[0].stride(),
                                static_cast<uint8_t*>(call.output));
    }
};

}  // namespace

std::unique_ptr<Op> make_add(const NodeView& view) {
    return std::make_unique<Add>(view);
}

}  // namespace edgesnn::executor
