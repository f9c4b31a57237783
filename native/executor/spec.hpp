// A model as plain structs: what Python hands over after its own validation, and Model::build validates again.
// Tensors are views; `keepalive` holds what they point into (a mapped file).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace edgesnn::executor {

using Shape = std::vector<int64_t>;
using Attribute = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

enum class Dtype { i8, u8, i32, i64, f32 };

struct TensorSpec {
    std::string name;
    std::string layout;  // "vector", "im", "im4", "om16x4", "om16x8": docs/model-file.md
    Dtype dtype = Dtype::f32;
    const void* data = nullptr;  // stored values, C-contiguous
    Shape stored;                // shape of the stored array
    Shape shape;                 // plain shape: [N, K], [N, C, kh, kw] or [N]
};

struct NodeSpec {
    std::string name;
    std::string op;
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    std::map<std::string, Attribute> attributes;
    std::map<std::string, TensorSpec> tensors;  // by the operator's word: "weight"
};

struct StateSpec {
    std::string name;  // "<node>.<what>"
    Shape shape;
    Dtype dtype = Dtype::f32;  // not i8
    double initial = 0;        // of every element
    std::string reset;         // "window", "line", "tokens" or "never"
};

struct InputSpec {
    std::string kind;  // "points", "dense", "spikes" or "tokens"
    // points
    int64_t points = 0, groups = 0, neighbours = 0, steps = 0;
    uint64_t seed = 0;
    // dense, spikes
    Shape shape;
    std::string value;  // "int" or "float32"
    int64_t bound = 0;  // largest value of an int
    // tokens
    int64_t vocab = 0;
};

struct ModelSpec {
    std::string identity;  // sha256 of the document
    InputSpec input;
    std::vector<NodeSpec> nodes;  // each node's inputs are made by earlier ones, but for a delay's
    std::vector<std::string> outputs;
    std::vector<StateSpec> states;
    std::string readout;  // name of the output that holds the scores, or empty
    std::shared_ptr<const void> keepalive;
};

}  // namespace edgesnn::executor
