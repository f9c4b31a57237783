// A model: immutable operators and the plan that runs them. Shared by any number of sessions and threads.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "executor/op.hpp"
#include "executor/plan.hpp"
#include "executor/spec.hpp"
#include "executor/workspace.hpp"

namespace edgesnn::executor {

class Model {
  public:
    // Validates everything that a run relies on: names, order, types, shapes, bounds.
    // Throws Error{model} that names node or tensor, found and expected; Error{backend} for an arm that cannot run.
    static std::shared_ptr<const Model> build(ModelSpec spec);

    const ModelSpec& spec() const noexcept { return spec_; }
    const Plan& plan() const noexcept { return plan_; }
    // The same work without fused entries: every value is made.
    const Plan& whole_plan() const noexcept { return whole_plan_; }
    const std::vector<Step>& steps() const noexcept { return steps_; }
    // Index of a value, -1 if there is none of that name. The graph's input is "input", value 0.
    int value(const std::string& name) const noexcept;
    const ValueType& type(int value) const noexcept { return types_[static_cast<size_t>(value)]; }
    const std::vector<ValueType>& types() const noexcept { return types_; }
    const std::vector<int>& outputs() const noexcept { return outputs_; }
    // Index into outputs() of the scores, -1 without a readout.
    int readout() const noexcept { return readout_; }
    // Memory of values for a call: taken from the model, given back after it. Any thread.
    WorkspacePool& workspaces() const noexcept { return *workspaces_; }

  private:
    explicit Model(ModelSpec spec);
    void add_input();
    void add_node(size_t index);
    void add_step(std::unique_ptr<Op> op, size_t node, std::vector<int> inputs, const std::vector<std::string>& names);
    int plain(int value, size_t node);
    void bind_delays();
    void check_states() const;
    void check_scratch(size_t bytes) const;
    void find_outputs();

    ModelSpec spec_;
    std::unordered_map<std::string, int> values_;  // by name; those that no node names are not there
    std::vector<int> plain_;                       // by value: its copy in plain rows, -1 for none
    std::vector<ValueType> types_;                 // of values
    std::vector<Step> steps_;
    Memory memory_;  // that operators may still take
    std::vector<int> outputs_;
    int readout_ = -1;
    Plan plan_, whole_plan_;
    std::unique_ptr<WorkspacePool> workspaces_;
};

}  // namespace edgesnn::executor
