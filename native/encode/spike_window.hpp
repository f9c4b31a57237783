// One encoded window of spikes: the input of a "spikes" model. The Python twin is edgesnn.encode.spikes.SpikeWindow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgesnn::encode {

struct SpikeWindow {
    int64_t number = 0;             // window number in the stream
    std::vector<uint32_t> indices;  // (channel * height + y) * width + x, ascending within a step
    std::vector<int64_t> offsets;   // [steps + 1]: step k has indices[offsets[k]] .. indices[offsets[k + 1] - 1]
    int64_t clamped = 0;            // events left out because their element was at its bound
    int64_t outside = 0;            // events left out because they lie outside the part that the model sees

    size_t steps() const noexcept { return offsets.size() - 1; }
};

}  // namespace edgesnn::encode
