#include "executor/ops/select.hpp"

namespace edgesnn::executor {

Select::Select(const ValueType& x, size_t axis, std::vector<IndexRun> indices)
    : indices_(std::move(indices)), from_(x, axis), to_(chosen(x, axis, indices_), axis) {
    outputs = {chosen(x, axis, indices_)};
}

ValueType Select::chosen(ValueType x, size_t axis, const std::vector<IndexRun>& indices) {
    x.shape[axis] = 0;
    for (const IndexRun& run : indices) x.shape[axis] += run.count;
    return x;
}

void Select::run(const OpCall& call) const noexcept {
    clear_padding(outputs[0], call.output);
    size_t to = 0;
    for (const IndexRun& run : indices_) {
        copy_indices(from_, call.inputs[0], run.first, run.count, to_, call.output, to);
        to += run.count;
    }
}

}  // namespace edgesnn::executor
