// gather: elements along an axis by a list of indices, each any number of times.
#include "executor/ops/select.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_gather(const NodeView& view) {
    view.expect(1, 1);
    const ValueType& x = view.inputs[0];
    if (x.kind == Kind::window || x.kind == Kind::token) view.fail("input cannot be gathered", describe(x));
    const size_t axis = view.axis("axis", x.shape.size());
    const TensorSpec& tensor = view.tensor("indices");
    if (tensor.dtype != Dtype::i32 || tensor.layout != "vector")
        view.fail("tensor '" + tensor.name + "' has another type", "", "int32");
    const auto* values = static_cast<const int32_t*>(tensor.data);
    view.hold(static_cast<size_t>(tensor.shape[0]) * sizeof(IndexRun));
    std::vector<IndexRun> runs;
    for (int64_t i = 0; i < tensor.shape[0]; ++i) {
        if (values[i] < 0 || values[i] >= x.shape[axis])
            view.fail("index is out of range", std::to_string(values[i]), "0 to " + std::to_string(x.shape[axis] - 1));
        const auto index = static_cast<uint32_t>(values[i]);
        if (!runs.empty() && runs.back().first + runs.back().count == index)
            ++runs.back().count;
        else
            runs.push_back({index, 1});
    }
    return std::make_unique<Select>(x, axis, std::move(runs));
}

}  // namespace edgesnn::executor
