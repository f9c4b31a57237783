// A model: immutable operators and the plan that runs them. Shared by any number of sessions and threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/op.hpp"
#include "executor/plan.hpp"
#include "executor/spec.hpp"

namespace edgesnn::executor {

class Model {
  public:
    // Validates everything that a run relies on: names, order, types, shapes, bounds.
    // Throws Error{model} that names node or tensor, found and expected; Error{backend} for an arm that cannot run.
    static std::shared_ptr<const Model> build(ModelSpec spec);

    const ModelSpec& spec() const noexcept { return spec_; }
    const Plan& plan() const noexcept { return plan_; }
    const std::vector<std::unique_ptr<Op>>& ops() const noexcept { return ops_; }
    // Index of a value, -1 if there is none of that name. The graph's input is "input", value 0.
    int value(const std::string& name) const noexcept;
    const ValueType& type(int value) const noexcept { return types_[static_cast<size_t>(value)]; }
    const std::vector<int>& outputs() const noexcept { return outputs_; }
    // Index into outputs() of the scores, -1 without a readout.
    int readout() const noexcept { return readout_; }
    // The values that node `name` makes. Throws Error{usage} if there is no such node.
    std::vector<int> outputs_of(const std::string& name) const;

  private:
    explicit Model(ModelSpec spec) : spec_(std::move(spec)) {}
    void add_input();
    void add_node(size_t index);
    void check_states() const;

    ModelSpec spec_;
    std::vector<std::string> names_;  // of values
    std::vector<ValueType> types_;    // of values
    std::vector<std::unique_ptr<Op>> ops_;
    std::vector<int> outputs_;
    int readout_ = -1;
    Plan plan_;
};

}  // namespace edgesnn::executor
