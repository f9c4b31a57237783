// Records of one size in any split: the bytes of one that a piece of the stream cuts wait for the rest of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "base/span.hpp"
#include "base/state_io.hpp"

namespace edgesnn::events {

class Carry {
  public:
    static constexpr size_t kMost = 8;  // bytes of a record

    explicit Carry(size_t record_bytes) noexcept : record_bytes_(record_bytes) {}

    // Calls run(data, count) for the records that `bytes` complete, at most twice; a Status that is not ok ends it.
    template <typename Run>
    Status feed(Span<const uint8_t> bytes, Run&& run) {
        size_t used = 0;
        if (size_ != 0) {
            used = std::min(record_bytes_ - size_, bytes.size);
            std::memcpy(bytes_.data() + size_, bytes.data, used);
            size_ += used;
            if (size_ < record_bytes_) return {};
            size_ = 0;
            if (Status status = run(bytes_.data(), 1); !status.ok()) return status;
        }
        const size_t count = (bytes.size - used) / record_bytes_;
        if (Status status = run(bytes.data + used, count); !status.ok()) return status;
        used += count * record_bytes_;
        size_ = bytes.size - used;
        std::memcpy(bytes_.data(), bytes.data + used, size_);
        return {};
    }

    size_t size() const noexcept { return size_; }  // bytes that wait
    void clear() noexcept { size_ = 0; }

    void save(StateWriter& writer) const { writer.put("carry", bytes_.data(), {static_cast<int64_t>(size_)}); }
    // Throws Error{model} and changes nothing then; `title`: of the format.
    void load(const StateReader& reader, const char* title) {
        const std::vector<uint8_t> bytes = reader.get_array<uint8_t>("carry");
        if (bytes.size() >= record_bytes_)
            throw Error(ErrorKind::model, "snapshot of a decoder holds more than a cut record", title);
        size_ = bytes.size();
        std::copy(bytes.begin(), bytes.end(), bytes_.begin());
    }

  private:
    size_t record_bytes_;
    std::array<uint8_t, kMost> bytes_{};
    size_t size_ = 0;
};

}  // namespace edgesnn::events
