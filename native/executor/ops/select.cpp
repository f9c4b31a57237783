#include "executor/ops/select.hpp"

#include <cstring>

namespace edgesnn::executor {

Select::Select(const ValueType& x, size_t axis, std::vector<size_t> indices)
    : from_(x), indices_(std::move(indices)), length_(static_cast<size_t>(x.shape[axis])) {
    for (size_t i = axis + 1; i < x.shape.size(); ++i) inner_ *= static_cast<size_t>(x.shape[i]);
    ValueType to = x;
    to.shape[axis] = static_cast<int64_t>(indices_.size());
    outputs = {to};
}

void Select::run(const OpCall& call) const noexcept {
    const ValueType& to = outputs[0];
    const size_t item = to.item_size(), outer = elements(from_.shape) / (length_ * inner_);
    const auto* from = static_cast<const uint8_t*>(call.inputs[0]);
    auto* out = static_cast<uint8_t*>(call.output);
    std::memset(out, 0, to.rows() * to.stride() * item);
    size_t flat = 0;
    for (size_t o = 0; o < outer; ++o)
        for (const size_t index : indices_)
            for (size_t j = 0; j < inner_; ++j, ++flat)
                std::memcpy(out + to.place(flat) * item, from + from_.place((o * length_ + index) * inner_ + j) * item,
                            item);
}

}  // namespace edgesnn::executor
