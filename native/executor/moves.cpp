#include "executor/moves.hpp"

#include <algorithm>
#include <cstring>

namespace edgesnn::executor {
namespace {

// The next element of a value whose elements are visited in C order.
struct Cursor {
    const Runs& runs;
    size_t begin = 0, at = 0, left = runs.length;  // of the run

    void pass(size_t count) noexcept {
        at += count * runs.step;
        if ((left -= count) != 0) return;
        begin += runs.next;
        at = begin, left = runs.length;
    }
};

template <typename T>
void reorder(const Runs& from_runs, const T* x, const Runs& to_runs, T* y, size_t count) noexcept {
    Cursor from{from_runs}, to{to_runs};
    while (count > 0) {
        const size_t n = std::min(from.left, to.left), step = from_runs.step, to_step = to_runs.step;
        const T* source = x + from.at;
        T* target = y + to.at;
        if (step == 1 && to_step == 1)
            std::memcpy(target, source, n * sizeof(T));
        else
            for (size_t i = 0; i < n; ++i) target[i * to_step] = source[i * step];
        from.pass(n);
        to.pass(n);
        count -= n;
    }
}

size_t column_axis(const ValueType& type) noexcept {
    return type.last ? 0 : type.shape.size() - 1;
}

template <typename T>
void copy_blocks(const T* x, size_t from_block, T* y, size_t to_block, size_t blocks, size_t count) noexcept {
    for (size_t b = 0; b < blocks; ++b, x += from_block, y += to_block) {
        if (count == 1)
            *y = *x;
        else
            std::memcpy(y, x, count * sizeof(T));
    }
}

}  // namespace

Runs::Runs(const ValueType& type) : length(type.columns()), next(type.stride()) {
    if (type.last)
        length = type.rows(), step = type.stride(), next = 1;
    else if (length == next)
        length = elements(type.shape);
}

Reorder::Reorder(const ValueType& from, const ValueType& to)
    : count_(elements(to.shape)), item_(to.item_size()), from_(from), to_(to) {}

void Reorder::copy(const void* from, void* to) const noexcept {
    if (item_ == 1)
        reorder(from_, static_cast<const uint8_t*>(from), to_, static_cast<uint8_t*>(to), count_);
    else
        reorder(from_, static_cast<const uint32_t*>(from), to_, static_cast<uint32_t*>(to), count_);
}

AxisPlaces::AxisPlaces(const ValueType& type, size_t axis)
    : blocks(type.rows()), block(type.stride()), step(1), item(type.item_size()) {
    if (axis == column_axis(type)) return;
    blocks = 1, step = type.stride();
    for (size_t i = 0; i < type.shape.size(); ++i) {
        if (i == column_axis(type)) continue;
        if (i < axis) blocks *= static_cast<size_t>(type.shape[i]);
        if (i > axis) step *= static_cast<size_t>(type.shape[i]);
    }
    block = step * static_cast<size_t>(type.shape[axis]);
}

void copy_indices(const AxisPlaces& from, const void* x, size_t first, size_t count, const AxisPlaces& to_places,
                  void* y, size_t to) noexcept {
    const size_t source = first * from.step, target = to * to_places.step, n = count * from.step;
    if (from.item == 1)
        copy_blocks(static_cast<const uint8_t*>(x) + source, from.block, static_cast<uint8_t*>(y) + target,
                    to_places.block, from.blocks, n);
    else
        copy_blocks(static_cast<const uint32_t*>(x) + source, from.block, static_cast<uint32_t*>(y) + target,
                    to_places.block, from.blocks, n);
}

void clear_padding(const ValueType& type, void* value) noexcept {
    if (type.columns() != type.stride()) std::memset(value, 0, type.rows() * type.stride() * type.item_size());
}

}  // namespace edgesnn::executor
