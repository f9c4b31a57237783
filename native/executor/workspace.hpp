// Memory that a call needs and no state lives in: values of up to chunk_steps slots, and the operators' scratch. A
// session takes one for each call, so thousands of sessions cost only their states.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "executor/plan.hpp"

namespace edgesnn::executor {

class Workspace {
  public:
    Workspace(const std::vector<Step>& steps, const Layout& layout);

    void* address(int value, size_t slot, size_t row) const noexcept {
        const Place& at = layout_.values[static_cast<size_t>(value)];
        return base_ + at.offset + (at.local ? 0 : slot * at.step_bytes + row * at.row_bytes);
    }
    Scratch* scratch(size_t step) const noexcept { return scratch_[step].get(); }

  private:
    const Layout& layout_;  // of its owner
    std::unique_ptr<uint8_t[]> memory_;
    uint8_t* base_;
    std::vector<std::unique_ptr<Scratch>> scratch_;
};

// Workspaces of one layout. take allocates only while fewer exist than are taken at once.
class WorkspacePool {
  public:
    WorkspacePool(const std::vector<Step>& steps, Layout layout) : steps_(steps), layout_(std::move(layout)) {}

    std::unique_ptr<Workspace> take();
    void give(std::unique_ptr<Workspace> workspace) noexcept;
    const Layout& layout() const noexcept { return layout_; }

  private:
    const std::vector<Step>& steps_;
    Layout layout_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;
    size_t made_ = 0;
};

}  // namespace edgesnn::executor
