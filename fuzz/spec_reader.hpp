// Bytes to a model: a graph of any of the operators over an input of any kind. A polite one obeys docs/operators.md, so
// it builds; a hostile one departs from it at some places (shapes, layouts, types, attributes, names, states).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes.hpp"
#include "executor/op.hpp"
#include "executor/spec.hpp"

namespace edgesnn::fuzz {

class SpecReader {
  public:
    explicit SpecReader(Bytes& bytes) : in_(bytes) {}
    executor::ModelSpec read();

  private:
    using NodeSpec = executor::NodeSpec;
    using TensorSpec = executor::TensorSpec;
    using ValueType = executor::ValueType;
    using Kind = executor::Kind;
    using Dtype = executor::Dtype;
    using Shape = executor::Shape;
    struct Value {
        std::string name;
        ValueType type;
    };
    struct Storage {
        std::vector<std::unique_ptr<uint8_t[]>> blocks;
    };
    enum class Fill { small, whole, positive, any, indices, delays, negative };

    void read_input();
    void read_node();
    void close_delays();
    void read_outputs();
    // One departure of a node from what it should be.
    void depart(NodeSpec& node);
    void depart_attribute(NodeSpec& node);
    void depart_tensor(NodeSpec& node);
    void depart_wiring(NodeSpec& node);
    void depart_ends();

    // By operator: fill in attributes and tensors; false where no value fits.
    bool point_code(NodeSpec& node);
    bool linear(NodeSpec& node);
    bool convolution(NodeSpec& node, size_t axes);
    bool pool(NodeSpec& node, size_t axes);
    bool lif(NodeSpec& node);
    bool cuba(NodeSpec& node);
    bool delay(NodeSpec& node);
    bool two(NodeSpec& node);
    bool select(NodeSpec& node);
    bool reshape(NodeSpec& node);
    bool reduce(NodeSpec& node);
    bool vote(NodeSpec& node);
    bool count(NodeSpec& node);
    bool accumulate(NodeSpec& node);
    bool scale(NodeSpec& node);
    bool activation(NodeSpec& node);
    bool layer_norm(NodeSpec& node);
    bool embedding(NodeSpec& node);
    bool wkv(NodeSpec& node);

    bool fill_node(NodeSpec& node);
    void admit(NodeSpec node);
    // A value of one of the kinds with so many axes; null where there is none.
    const Value* choose(std::initializer_list<Kind> kinds, size_t least_rank, size_t most_rank);
    // A value of the same shape, of one of the kinds.
    const Value* like(const Value& other, std::initializer_list<Kind> kinds);
    void weight(NodeSpec& node, const Shape& shape, const ValueType& x, bool dense);
    void parameter(NodeSpec& node, const char* role, const ValueType& x, Fill fill);
    TensorSpec tensor(const std::string& name, const Shape& shape, std::string layout, Dtype dtype, Fill fill,
                      int64_t high = 0, int64_t group = 32);
    void fill(uint8_t* bytes, size_t count, Dtype dtype, Fill how, int64_t high);

    Bytes& in_;
    executor::ModelSpec spec_;
    std::vector<Value> values_;
    size_t most_elements_ = 0;  // of a value
    std::shared_ptr<Storage> storage_ = std::make_shared<Storage>();
};

}  // namespace edgesnn::fuzz
