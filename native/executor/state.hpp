// Where the states of a session lie in memory, and how they go into snapshots and come back: the same for all
// operators.
#pragma once

#include <cstddef>
#include <vector>

#include "base/state_io.hpp"
#include "executor/op.hpp"
#include "executor/spec.hpp"

namespace edgesnn::executor {

constexpr size_t kStateAlignment = 64;

// A state seen from outside: element [i, j, ..] lies at data + i * strides[0] + j * strides[1] .., in bytes.
struct StateView {
    const StateSpec* spec;
    void* data;
    std::vector<size_t> strides;
    size_t bytes;  // with padding
    Limits limits;
};

// How a state lies in memory: its last axes as a value of that shape does, the leading ones around it. `data` is null.
StateView lay_state(const StateSpec& spec, const OpState& state);
void initialise(const StateView& view) noexcept;

// Logical shapes, C order.
void put_state(StateWriter& writer, const StateView& view);
// Throws Error{model} for a missing tensor, another type or shape, a number past its limits; get_state relies on it.
void check_state(const StateReader& reader, const StateView& view);
void get_state(const StateReader& reader, const StateView& view);

}  // namespace edgesnn::executor
