// The order of work. Three kinds of segment:
//
// tiled  operators over equal rows of a window of points: a tile of rows goes through all steps of a call before the
// next
//        tile, so that the tile's membranes and currents stay in cache.
// single one operator with an output that is small, or smaller for all steps than its weights are: all steps of a call
//        before the next segment, so that its weights are read once or stay in cache; without a state or a step number
//        the rows of all steps are one call (batched).
// frame  operators with large outputs, and everything on a cycle through a delay: step after step.
//
// What only its own segment sees lies in tile memory and is overwritten at every step; everything else is kept for all
// steps. A value that does not change over the steps of a window (direct coding, and what follows from it without a
// state or a random number) is computed once a tile. A "step" of a call is a slot: the next step of one session, or one
// step of each of many sessions.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "executor/op.hpp"
#include "executor/spec.hpp"
#include "executor/value.hpp"

namespace edgesnn::executor {

// An operator with its place in the graph.
struct Step {
    std::unique_ptr<Op> op;
    size_t node;              // of the model's nodes
    std::vector<int> inputs;  // values
    int first_output;         // value; the others follow
};

struct Entry {
    size_t step;              // index into the steps
    size_t output;            // which of the operator's outputs
    std::vector<int> inputs;  // values
    int value;                // what it makes
    size_t rows;              // of the operator
    int fused = -1;           // the step whose work is done too, and whose output `value` is; -1 for none
    bool passing = false;     // no state depends on it: nothing but outputs, which may not be wanted
};

enum class SegmentKind { tiled, single, frame };

struct Segment {
    SegmentKind kind = SegmentKind::tiled;
    size_t rows = 0;
    size_t tile_rows = 0;
    bool batched = false;
    std::vector<Entry> constant;  // once a tile
    std::vector<Entry> stepping;  // every step
    std::vector<Entry> latches;   // at the end of every step
};

struct Plan {
    std::vector<Segment> segments;
    std::vector<bool> bits;      // by value: lies as one word a row (fusion.hpp)
    std::vector<bool> constant;  // by value: the same at every step of a window
    std::vector<int> segment;    // by value: where it is made; -1 the input
    std::vector<bool> shared;    // by value: read by another segment, an output, or made by a batched segment
    size_t chunk_steps = 1;      // steps of one call, at most
};

// Values are numbered: 0 the input, then each step's outputs in order.
// With `fuse` two operators may be one entry (fusion.hpp): what is between them is made nowhere then, or is the first
// one's own memory.
Plan make_plan(const ModelSpec& spec, const std::vector<Step>& steps, const std::vector<ValueType>& types,
               const std::vector<int>& outputs, bool fuse);

struct Place {
    size_t offset = 0;
    bool local = false;     // in tile memory: row 0 is the tile's first row
    size_t step_bytes = 0;  // from one step to the next; 0 where all steps share the memory
    size_t row_bytes = 0;
};

constexpr size_t kMaxWorkspace = size_t{1} << 33;  // bytes

struct Layout {
    std::vector<Place> values;
    size_t bytes = 0;        // of the values that all threads see
    size_t local_bytes = 0;  // of a thread's tile memory
};

// Where each value lies, `kept` values for all steps.
Layout make_layout(const Plan& plan, const std::vector<ValueType>& types, const std::vector<int>& kept);

}  // namespace edgesnn::executor
