// A stage of the chain: decode -> cut -> encode -> step -> decide. What it takes differs from stage to stage (its
// push); what every stage has in common is here: its state as named tensors, and its counters.
//
// Rules: a stage owns its memory and allocates at most what its options bound; it knows no Python, no thread and no
// file; save and load are exact, so that a chain restored between two packets goes on bit for bit.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/state_io.hpp"

namespace edgesnn {

using CounterMap = std::map<std::string, int64_t>;

class Stage {
  public:
    virtual ~Stage() = default;
    // The snapshot section: the first part of its tensors' names.
    virtual const char* section() const noexcept = 0;
    virtual void save(StateWriter& writer) const = 0;  // the writer is in the stage's section
    virtual void load(
        const StateReader& reader) = 0;  // throws Error{model}; what it leaves then is overwritten by the chain
    virtual void count(CounterMap& counters) const = 0;  // adds its counters under their documented names
};

}  // namespace edgesnn
