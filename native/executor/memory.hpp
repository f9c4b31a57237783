// What a model may hold at load besides its tensors. Many nodes may name one tensor, and a tensor of one number may be
// spread over a large value: a small file could ask for any memory.
#pragma once

#include <cstddef>

namespace edgesnn::executor {

// In bytes; each use takes its part away.
struct Memory {
    static constexpr size_t kSpread = 16 << 20, kSpreadTimes = 4;  // and so many times the tensors
    static constexpr size_t kCopies = 64 << 20, kCopiesTimes = 16;

    Memory() = default;
    explicit Memory(size_t tensors)
        : spread(kSpread + kSpreadTimes * tensors), copies(kCopies + kCopiesTimes * tensors) {}

    size_t spread = kSpread;  // of parameter vectors; beyond it they are read as they are stored (parameter.hpp)
    size_t copies = kCopies;  // of tensors in another form; beyond it the model is refused
};

}  // namespace edgesnn::executor
