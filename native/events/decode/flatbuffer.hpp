// Reads of flatbuffers that somebody else wrote: no offset is believed, nothing outside the bytes is touched.
// Layout: https://flatbuffers.dev/internals
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/span.hpp"

namespace edgesnn::events {

template <typename T>
T load_le(const uint8_t* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// A flatbuffer of `size` bytes, of which the first ones may be all that is here. Offsets are from its beginning.
struct FlatBuffer {
    Span<const uint8_t> bytes;
    size_t size = 0;

    bool holds(size_t at, size_t count) const noexcept { return at <= bytes.size && count <= bytes.size - at; }
    bool is(const char* identifier) const noexcept {
        return holds(4, 4) && std::memcmp(bytes.data + 4, identifier, 4) == 0;
    }
};

// The flatbuffer behind a length of four bytes; false where they are not here.
inline bool size_prefixed(Span<const uint8_t> bytes, FlatBuffer& buffer) noexcept {
    if (bytes.size < 4) return false;
    buffer.size = load_le<uint32_t>(bytes.data);
    buffer.bytes = {bytes.data + 4, bytes.size - 4 < buffer.size ? bytes.size - 4 : buffer.size};
    return true;
}

class FlatTable {
  public:
    // The table at `at`, or where the offset at `at` leads; ok() says whether it lies inside.
    static FlatTable at(const FlatBuffer& buffer, size_t at) noexcept { return FlatTable(buffer, at); }
    static FlatTable follow(const FlatBuffer& buffer, size_t at) noexcept {
        if (!buffer.holds(at, 4)) return FlatTable(buffer, buffer.bytes.size);
        return FlatTable(buffer, at + load_le<uint32_t>(buffer.bytes.data + at));
    }
    static FlatTable root(const FlatBuffer& buffer) noexcept { return follow(buffer, 0); }

    bool ok() const noexcept { return vtable_size_ != 0; }

    // Where field number `index` of `count` bytes lies; 0: it is left out. False: it lies outside.
    bool field(size_t index, size_t count, size_t& at) const noexcept {
        const size_t entry = 4 + 2 * index;
        at = 0;
        if (entry + 2 > vtable_size_) return true;
        const size_t offset = load_le<uint16_t>(buffer_.bytes.data + vtable_ + entry);
        if (offset == 0) return true;
        at = at_ + offset;
        return offset >= 4 && offset + count <= size_ && buffer_.holds(at, count);
    }
    template <typename T>
    bool scalar(size_t index, T& value) const noexcept {  // unchanged where it is left out
        size_t where = 0;
        if (!field(index, sizeof(T), where)) return false;
        if (where != 0) value = load_le<T>(buffer_.bytes.data + where);
        return true;
    }
    // A vector of `element` bytes each: where its first one lies (it may be past what is here), and how many.
    bool vector(size_t index, size_t element, size_t& first, size_t& count) const noexcept {
        size_t where = 0;
        first = count = 0;
        if (!field(index, 4, where)) return false;
        if (where == 0) return true;
        const size_t length = where + load_le<uint32_t>(buffer_.bytes.data + where);
        if (!buffer_.holds(length, 4)) return false;
        count = load_le<uint32_t>(buffer_.bytes.data + length);
        first = length + 4;
        return count <= (buffer_.size - first) / element;
    }

  private:
    FlatTable(const FlatBuffer& buffer, size_t at) noexcept : buffer_(buffer), at_(at) {
        if (!buffer.holds(at, 4)) return;
        const int64_t vtable = static_cast<int64_t>(at) - load_le<int32_t>(buffer.bytes.data + at);
        if (vtable < 0 || !buffer.holds(static_cast<size_t>(vtable), 4)) return;
        vtable_ = static_cast<size_t>(vtable);
        const size_t vtable_size = load_le<uint16_t>(buffer.bytes.data + vtable_);
        size_ = load_le<uint16_t>(buffer.bytes.data + vtable_ + 2);
        if (vtable_size >= 4 && buffer.holds(vtable_, vtable_size) && size_ >= 4) vtable_size_ = vtable_size;
    }

    FlatBuffer buffer_;
    size_t at_ = 0;
    size_t vtable_ = 0;
    size_t vtable_size_ = 0;  // 0: no table
    size_t size_ = 0;
};

}  // namespace edgesnn::events
