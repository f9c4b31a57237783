#include "executor/ops/select.hpp"

namespace edgesnn::executor {

Select::Select(const ValueType& x, size_t axis, const std::vector<size_t>& indices) {
    ValueType to = x;
    to.shape[axis] = static_cast<int64_t>(indices.size());
    outputs = {to};
    size_t inner = 1;
    for (size_t i = axis + 1; i < x.shape.size(); ++i) inner *= static_cast<size_t>(x.shape[i]);
    const auto length = static_cast<size_t>(x.shape[axis]);
    const size_t count = elements(x.shape) / length * indices.size(), chosen = inner * indices.size();
    if (count > static_cast<size_t>(kMaxElements)) return;  // the model refuses the output's type
    for (size_t flat = 0; flat < count; ++flat) {
        const size_t from = flat / chosen * length * inner + indices[flat % chosen / inner] * inner + flat % inner;
        moves_.add(x.place(from), to.place(flat));
    }
}

void Select::run(const OpCall& call) const noexcept {
    clear_padding(outputs[0], call.output);
    moves_.copy(outputs[0].item_size(), call.inputs[0], call.output);
}

}  // namespace edgesnn::executor
