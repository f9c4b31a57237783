// slice: elements start .. stop - 1 along an axis.
#include "executor/ops/select.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_slice(const NodeView& view) {
    view.expect(1, 1);
    const ValueType& x = view.inputs[0];
    if (x.kind == Kind::window || x.kind == Kind::token) view.fail("input cannot be cut", describe(x));
    const size_t axis = view.axis("axis", x.shape.size());
    const int64_t start = view.integer("start", 0, x.shape[axis] - 1);
    const int64_t stop = view.integer("stop", start + 1, x.shape[axis]);
    const IndexRun run{static_cast<uint32_t>(start), static_cast<uint32_t>(stop - start)};
    return std::make_unique<Select>(x, axis, std::vector<IndexRun>{run});
}

}  // namespace edgesnn::executor
