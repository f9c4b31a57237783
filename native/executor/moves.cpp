#include "executor/moves.hpp"

#include <cstring>

namespace edgesnn::executor {
namespace {

template <typename T>
void copy_all(const std::vector<uint32_t>& from, const std::vector<uint32_t>& to, const void* x, void* y) noexcept {
    for (size_t i = 0; i < from.size(); ++i)
        std::memcpy(static_cast<uint8_t*>(y) + size_t{to[i]} * sizeof(T),
                    static_cast<const uint8_t*>(x) + size_t{from[i]} * sizeof(T), sizeof(T));
}

}  // namespace

void Moves::copy(size_t item, const void* from, void* to) const noexcept {
    if (item == 1) return copy_all<uint8_t>(from_, to_, from, to);
    if (item == 4) return copy_all<uint32_t>(from_, to_, from, to);
    copy_all<uint64_t>(from_, to_, from, to);
}

void clear_padding(const ValueType& type, void* value) noexcept {
    if (type.columns() != type.stride()) std::memset(value, 0, type.rows() * type.stride() * type.item_size());
}

}  // namespace edgesnn::executor
