// Places in one piece of memory for values that live for some segments of a plan each: lives that do not meet may share
// a place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace edgesnn::executor {

class Arena {
  public:
    // Where `bytes` that are used from segment `first` to `last` lie; called with `first` ascending.
    size_t place(size_t bytes, size_t first, size_t last) {
        live_.erase(std::remove_if(live_.begin(), live_.end(), [first](const Block& b) { return b.last < first; }),
                    live_.end());
        size_t offset = 0;
        auto at = live_.begin();
        for (; at != live_.end() && at->offset - offset < bytes; ++at) offset = at->offset + at->bytes;
        live_.insert(at, {offset, bytes, last});
        bytes_ = std::max(bytes_, offset + bytes);
        return offset;
    }
    size_t bytes() const noexcept { return bytes_; }

  private:
    struct Block {
        size_t offset, bytes, last;
    };
    std::vector<Block> live_;  // by offset
    size_t bytes_ = 0;
};

}  // namespace edgesnn::executor
