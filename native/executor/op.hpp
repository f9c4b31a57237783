// What an operator is to the executor. One file each in executor/ops; executor/ops/registry.cpp lists them.
//
// An operator works on a block of consecutive rows (a tile), one step at a time. The plan decides which rows and which
// memory; where rows are independent, every tiling and every order of tiles gives the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "encode/point_window.hpp"
#include "executor/memory.hpp"
#include "executor/parameter.hpp"
#include "executor/value.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {

constexpr size_t kMaxInputs = 8;

// What a node has done since the call began.
struct Counters {
    int64_t spikes = 0;
    int64_t synops = 0;  // an input spike of value n counts n times its fan-out
    int64_t macs = 0;    // multiply-adds over inputs that are not spikes
};

// What an operator keeps for one workspace besides its states: prepared windows, lists. Not part of a snapshot.
struct Scratch {
    virtual ~Scratch() = default;
};

struct OpCall {
    const void* inputs[kMaxInputs];  // first row of the tile, in each input
    void* output;                    // output_row(first_row), in the output
    size_t output_index;             // which of the operator's outputs
    size_t first_row;                // of the operator's rows
    size_t rows;                     // in this tile
    int64_t step;                    // number of the step in its window, or since the last reset
    void* const* states;             // the node's states, whole, in the order of Op::states
    Scratch* scratch;                // what Op::scratch made for this workspace
    Counters* counters;
    bool input_bits = false, output_bits = false;  // lie as bits: makes_bits, reads_bits
};

// What an element of an integer state may be in a snapshot; both ends are included.
struct Limits {
    int64_t low = INT64_MIN, high = INT64_MAX;
};

constexpr int64_t kMostSteps = int64_t{1} << 53;  // that a snapshot may say were done

struct OpState {
    std::string suffix;  // state name: "<node>.<suffix>"
    Shape shape;
    Dtype dtype = Dtype::f32;
    double initial = 0;
    bool last = false;   // its last axes lie as a value that is channels last
    size_t leading = 0;  // axes before those of the value
    Limits limits = {};
};

class Op {
  public:
    virtual ~Op() = default;
    // Rows that the tiles of an output run over; `output_row` is the output's row of the first of them.
    virtual size_t rows(size_t output) const noexcept { return outputs[output].rows(); }
    virtual size_t output_row(size_t row) const noexcept { return row; }
    // Rows that make one row of the output together: a tile holds all of them, so that threads never share a row.
    virtual size_t joined_rows() const noexcept { return 1; }
    // A row of the output needs only the same rows of the inputs.
    virtual bool rowwise() const noexcept { return true; }
    // No state and no step number: rows of several steps may be one call.
    virtual bool batchable() const noexcept { return rowwise() && steady() && states.empty(); }
    // Equal inputs give equal outputs at every step: no state, no random numbers.
    virtual bool steady() const noexcept { return states.empty(); }
    // Each row counts the same, whatever is in it: several sessions' rows may be one call and their counts be shared
    // out.
    virtual bool counts_alike() const noexcept { return false; }
    // Read at each call, however many its rows; 0 where that is little.
    virtual size_t weight_bytes() const noexcept { return 0; }
    virtual std::unique_ptr<Scratch> scratch() const { return nullptr; }
    // Memory that it takes, where that grows with the values.
    virtual size_t scratch_bytes() const noexcept { return 0; }
    // `run` only reads the scratch, so that threads may share it.
    virtual bool shares_scratch() const noexcept { return false; }
    // Blocks of outputs of a row that `run_part` can make on its own: worth a thread each, or 0.
    virtual size_t parts() const noexcept { return 0; }
    // What all parts of a row have in common, before them.
    virtual void begin_parts(const OpCall&) const noexcept {}
    // Makes the blocks [begin, end) of parts() of one row. `call.rows` is 1.
    virtual void run_part(const OpCall&, size_t /*begin*/, size_t /*end*/) const noexcept {}
    // A window of points is about to be stepped. Allocates nothing.
    virtual void prepare(const encode::PointWindow&, Scratch&) const noexcept {}
    // The type of an input that a later node makes. Throws Error{model} where it is not the one declared.
    virtual void bind(const ValueType&, const std::string& /*node*/) {}
    virtual void run(const OpCall& call) const noexcept = 0;
    // Neurons that a kernel may update together with the matrix before them, as all rows have the same parameters and
    // every step counts; null for others. And their states in a call.
    virtual const kernels::Neurons* neurons() const noexcept { return nullptr; }
    virtual kernels::NeuronStates neuron_states(const OpCall&) const noexcept { return {}; }
    // Rows of which a maximum makes one; 0 for other operators.
    virtual size_t pooled_rows() const noexcept { return 0; }
    // Whether `run_fused` can do its own work and that of `next`, the only reader of its output.
    virtual bool fuses(const Op& /*next*/) const noexcept { return false; }
    // `call` has this operator's inputs, counters and (not in tiles) output; `next` has the next one's output, states
    // and counters.
    virtual void run_fused(const OpCall&, const Op& /*op*/, const OpCall& /*next*/) const noexcept {}
    // Whether the outputs of `run`, or where it fuses that of `run_fused`, may lie as bits; whether the inputs of
    // `run_fused` may; whether they must.
    virtual bool makes_bits() const noexcept { return false; }
    virtual bool reads_bits() const noexcept { return false; }
    virtual bool needs_bits() const noexcept { return false; }
    // Whether `latch` is to be called at the end of each step, when all values of the step are there.
    virtual bool latches() const noexcept { return false; }
    virtual void latch(const OpCall&) const noexcept {}

    std::vector<ValueType> outputs;
    std::vector<OpState> states;
};

// A node as an operator's maker sees it. The checks throw Error{model} that names the node and the tensor.
class NodeView {
  public:
    NodeView(const NodeSpec& spec, std::vector<ValueType> input_types, const InputSpec& model_input, Memory& memory)
        : node(spec), inputs(std::move(input_types)), input(model_input), memory_(memory) {}

    const NodeSpec& node;
    std::vector<ValueType> inputs;
    const InputSpec& input;

    void expect(size_t arity, size_t results) const;
    std::string text(const char* attribute, std::initializer_list<const char*> allowed) const;
    int64_t integer(const char* attribute, int64_t low, int64_t high) const;
    double real(const char* attribute) const;
    bool flag(const char* attribute) const;
    Shape integers(const char* attribute) const;
    // One integer given as [n] or [n, n] for two axes.
    std::pair<int64_t, int64_t> pair(const char* attribute, int64_t low, int64_t high, bool two) const;
    // An axis from the end (-1 is the last) as an index into a shape of `rank` axes.
    size_t axis(const char* attribute, size_t rank) const;

    bool has(const char* role) const { return node.tensors.count(role) != 0; }
    // A stored tensor whose shapes are consistent with its layout.
    const TensorSpec& tensor(const char* role) const;
    // Of all tensors of the node.
    void check_padding() const;
    // Whether the model may hold so many more bytes; `hold` takes them, or fails.
    bool may_hold(size_t bytes) const noexcept { return bytes <= memory_.copies; }
    void hold(size_t bytes) const;
    // A float32 vector of `length`, all finite, padded with zeros.
    std::vector<float> spread(const char* role, size_t length) const;
    // A float32 vector of one, of the channels on the node's `axis`, or of all elements of `type`; all finite.
    Parameter parameter(const char* role, const ValueType& type, float padding) const;
    // The same for all; `value` outlives it.
    Parameter constant(const float& value, const ValueType& type) const;
    // Whether all values of a parameter vector are above zero.
    bool positive(const char* role) const;
    [[noreturn]] void fail(const std::string& what, const std::string& found = {},
                           const std::string& expected = {}) const;

  private:
    Memory& memory_;
};

using MakeOp = std::unique_ptr<Op> (*)(const NodeView&);

enum class Accepts { plain, any };  // memory layouts of the inputs; for `any` all inputs have one

struct OpEntry {
    const char* name;
    MakeOp make;
    Accepts layout;
};

// All operators; a null name ends the list.
const OpEntry* operators() noexcept;

// A copy of a value whose channels lie last, in plain rows.
std::unique_ptr<Op> make_plain(const ValueType& from);

}  // namespace edgesnn::executor
