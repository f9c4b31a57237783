// Which operators do their work in one entry, and which values of windows of points lie as bits between them.
#pragma once

#include <vector>

#include "executor/plan.hpp"

namespace edgesnn::executor {

struct Fusion {
    std::vector<int> partner;  // by step: of the later of two the earlier, of the earlier the later; -1 for none
    std::vector<bool> bits;    // by value: rows of zeros and ones as one word each (kernels.hpp)
};

// `loop`: by step, the cycle that it lies on, or -1. Without `points` nothing lies as bits.
Fusion find_fusion(const std::vector<Step>& steps, const std::vector<ValueType>& types, const std::vector<int>& outputs,
                   const std::vector<int>& loop, bool points);

}  // namespace edgesnn::executor
