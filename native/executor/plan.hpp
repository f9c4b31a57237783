// The order of work. Consecutive operators over the same number of rows form a segment; a segment takes a tile of rows
// through all steps of a call before the next tile, so that the tile's membranes and currents stay in cache. What only
// its own segment sees lies in tile memory and is overwritten at every step; everything else is kept for all steps.
//
// A value that does not change over the steps of a window (direct coding, and what follows from it without a state or a
// random number) is computed once a tile.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "executor/op.hpp"
#include "executor/spec.hpp"
#include "executor/value.hpp"

namespace edgesnn::executor {

struct Entry {
    size_t node;
    size_t output;            // which of the node's outputs
    std::vector<int> inputs;  // values
    int value;                // what it makes
};

struct Segment {
    size_t rows = 0;
    size_t tile_rows = 0;
    std::vector<Entry> constant;  // once a tile
    std::vector<Entry> stepping;  // every step
};

struct Plan {
    std::vector<Segment> segments;
    std::vector<bool> constant;  // by value: the same at every step of a window
    std::vector<int> segment;    // by value: where it is made; -1 the input
    std::vector<bool> shared;    // by value: read by another segment, or an output
    size_t chunk_steps = 1;      // steps of one call, at most
};

// Values are numbered: 0 the input, then each node's outputs in order.
Plan make_plan(const ModelSpec& spec, const std::vector<std::unique_ptr<Op>>& ops, const std::vector<ValueType>& types,
               const std::vector<std::vector<int>>& node_inputs, const std::vector<int>& outputs);

struct Place {
    size_t offset = 0;
    bool local = false;     // in tile memory: row 0 is the tile's first row
    size_t step_bytes = 0;  // from one step to the next; 0 where all steps share the memory
    size_t row_bytes = 0;
};

struct Layout {
    std::vector<Place> values;
    size_t bytes = 0;
};

// Where each value lies, `kept` values for all steps.
Layout make_layout(const Plan& plan, const std::vector<ValueType>& types, const std::vector<int>& kept);

}  // namespace edgesnn::executor
