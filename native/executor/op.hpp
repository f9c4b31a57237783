// What an operator is to the executor. One file each in executor/ops; executor/ops/registry.cpp lists them.
//
// An operator works on a block of consecutive rows (a tile), one step at a time. The plan decides which rows and which
// memory; because rows are independent, every tiling and every order of tiles gives the same bits.
#pragma once

#include <memory>
#include <vector>

#include "base/error.hpp"
#include "encode/point_window.hpp"
#include "executor/value.hpp"

namespace edgesnn::executor {

struct Counters {
    int64_t spikes = 0;
    int64_t synops = 0;
};

// What an operator keeps for one session besides its states: prepared windows, lists. Not part of a snapshot.
struct Scratch {
    virtual ~Scratch() = default;
};

struct OpCall {
    const void* inputs[2];  // first row of the tile, in each input
    void* output;           // output_row(first_row), in the output
    size_t output_index;    // which of the operator's outputs
    size_t first_row;       // of the operator's rows
    size_t rows;            // in this tile
    int64_t step;           // number of the step in its window, or since the last reset
    void* const* states;    // the node's states, whole, in the order of Op::states
    Scratch* scratch;       // what Op::scratch made for this session
    Counters* counters;
};

struct OpState {
    std::string suffix;  // state name: "<node>.<suffix>"
    Shape shape;
    Dtype dtype;
};

class Op {
  public:
    virtual ~Op() = default;
    // Rows that the tiles of an output run over; `output_row` is the output's row of the first of them.
    virtual size_t rows(size_t output) const noexcept { return outputs[output].rows(); }
    virtual size_t output_row(size_t row) const noexcept { return row; }
    // Equal inputs give equal outputs at every step: no state, no random numbers.
    virtual bool steady() const noexcept { return true; }
    virtual std::unique_ptr<Scratch> scratch() const { return nullptr; }
    // A window of points is about to be stepped. Allocates nothing.
    virtual void prepare(const encode::PointWindow&, Scratch&) const noexcept {}
    virtual void run(const OpCall& call) const noexcept = 0;

    std::vector<ValueType> outputs;
    std::vector<OpState> states;
};

// A node as an operator's maker sees it. The checks throw Error{model} that names the node and the tensor.
class NodeView {
  public:
    NodeView(const NodeSpec& spec, std::vector<ValueType> input_types, const InputSpec& model_input)
        : node(spec), inputs(std::move(input_types)), input(model_input) {}

    const NodeSpec& node;
    std::vector<ValueType> inputs;
    const InputSpec& input;

    void expect(size_t arity, size_t results, size_t tensors) const;
    std::string text(const char* attribute, std::initializer_list<const char*> allowed) const;
    int64_t integer(const char* attribute) const;
    bool flag(const char* attribute) const;
    // A stored tensor whose shapes are consistent with its layout.
    const TensorSpec& tensor(const char* role) const;
    // A float32 vector of `length` or, where `or_one`, of one element; all finite. Spread to `length` and padded with
    // `padding`.
    std::vector<float> spread(const char* role, size_t length, bool or_one, float padding) const;
    [[noreturn]] void fail(const std::string& what, const std::string& found = {},
                           const std::string& expected = {}) const;
};

using MakeOp = std::unique_ptr<Op> (*)(const NodeView&);

struct OpEntry {
    const char* name;
    MakeOp make;
};

// All operators; a null name ends the list.
const OpEntry* operators() noexcept;

}  // namespace edgesnn::executor
