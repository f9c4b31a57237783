#include "executor/parameter.hpp"

#include <algorithm>

namespace edgesnn::executor {

Parameter::Parameter(const float* stored, size_t count, const ValueType& type, size_t axis, float padding,
                     size_t& spare)
    : stored_(stored),
      channels_(count),
      rows_(type.rows()),
      columns_(type.columns()),
      stride_(type.stride()),
      last_(type.last),
      padding_(padding) {
    if (count != 1 && count != elements(type.shape))
        for (size_t i = axis + 1; i < type.shape.size(); ++i) inner_ *= static_cast<size_t>(type.shape[i]);
    const size_t rows = same_rows() ? 1 : rows_;
    if (rows * stride_ > spare / sizeof(float)) return;
    spare -= rows * stride_ * sizeof(float);
    step_ = rows == 1 ? 0 : stride_;
    values_.resize(rows * stride_);
    for (size_t row = 0; row < rows; ++row) copy(row, 0, stride_, values_.data() + row * stride_);
}

const float* Parameter::block(size_t row, size_t first, size_t length, float* to) const noexcept {
    if (!given()) return nullptr;
    if (spread()) return values_.data() + row * step_ + first;
    copy(row, first, length, to);
    return to;
}

bool Parameter::same_rows() const noexcept {
    return channels_ == 1 || rows_ == 1 || (channels_ == columns_ && inner_ == (last_ ? rows_ : 1));
}

void Parameter::copy(size_t row, size_t first, size_t length, float* to) const noexcept {
    const size_t count = std::min(length, columns_ - first);
    if (channels_ == 1)
        std::fill_n(to, count, stored_[0]);
    else if (last_ && inner_ == rows_)  // its columns are the channels
        std::copy_n(stored_ + first, count, to);
    else if (last_)
        for (size_t i = 0; i < count; ++i) to[i] = stored_[((first + i) * rows_ + row) / inner_ % channels_];
    else if (inner_ == 1)
        std::copy_n(stored_ + (row * columns_ + first) % channels_, count, to);
    else  // the channels lie along rows
        std::fill_n(to, count, stored_[row * columns_ / inner_ % channels_]);
    std::fill_n(to + count, length - count, padding_);
}

}  // namespace edgesnn::executor
