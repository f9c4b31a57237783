// Where the inputs of the steps of a call come from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "executor/value.hpp"

namespace edgesnn::executor {

// Writes the input of slot `index` of a call; the rows of the input value follow each other at `to`.
class StepSource {
  public:
    virtual ~StepSource() = default;
    virtual void fill(size_t index, void* to) const noexcept = 0;
};

// Rows of a C-contiguous array [slots, ...input.shape]: uint8, float32, or int64 tokens.
class ArraySource final : public StepSource {
  public:
    ArraySource(const ValueType& type, const void* data) : type_(type), data_(static_cast<const uint8_t*>(data)) {}
    void fill(size_t index, void* to) const noexcept override;

  private:
    const ValueType& type_;
    const uint8_t* data_;
};

// Lists of active inputs: slot i has indices[offsets[i]] .. indices[offsets[i + 1] - 1], ascending, each below the
// number of elements. One that stands twice adds up where `count`, up to the bound (checked by the caller).
class EventSource final : public StepSource {
  public:
    EventSource(const ValueType& type, const uint32_t* indices, const int64_t* offsets, bool count)
        : type_(type), indices_(indices), offsets_(offsets), count_(count) {}
    void fill(size_t index, void* to) const noexcept override;

  private:
    const ValueType& type_;
    const uint32_t* indices_;
    const int64_t* offsets_;
    bool count_;
};

// The same lists for a float32 value: an element is how often it stands in its slot's list.
class FrameSource final : public StepSource {
  public:
    FrameSource(const ValueType& type, const uint32_t* indices, const int64_t* offsets)
        : type_(type), indices_(indices), offsets_(offsets) {}
    void fill(size_t index, void* to) const noexcept override;

  private:
    const ValueType& type_;
    const uint32_t* indices_;
    const int64_t* offsets_;
};

}  // namespace edgesnn::executor
