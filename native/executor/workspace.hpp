// Memory that a call needs and no state lives in: values of up to chunk_steps slots, and the operators' scratch. A
// session takes one for each call, so thousands of sessions cost only their states.
#pragma once

#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "executor/plan.hpp"

namespace edgesnn::executor {

class Workspace {
  public:
    Workspace(const std::vector<Step>& steps, const Layout& layout, size_t threads);

    void* address(int value, size_t slot, size_t row, size_t thread = 0) const noexcept {
        const Place& at = layout_.values[static_cast<size_t>(value)];
        if (at.local) return base_ + layout_.bytes + thread * layout_.local_bytes + at.offset;
        return base_ + at.offset + slot * at.step_bytes + row * at.row_bytes;
    }
    Scratch* scratch(size_t step, size_t thread = 0) const noexcept {
        return scratch_[shared_[step] ? step : thread * shared_.size() + step].get();
    }

  private:
    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    const Layout& layout_;  // of its owner
    std::unique_ptr<void, Free> memory_;
    uint8_t* base_;
    std::vector<bool> shared_;                       // by step: all threads have one scratch
    std::vector<std::unique_ptr<Scratch>> scratch_;  // by thread and step
};

// Workspaces of one layout. take allocates only while fewer exist than are taken at once.
class WorkspacePool {
  public:
    // `threads` may work in a workspace at once.
    WorkspacePool(const std::vector<Step>& steps, Layout layout, size_t threads = 1)
        : steps_(steps), layout_(std::move(layout)), threads_(threads) {}

    std::unique_ptr<Workspace> take();
    void give(std::unique_ptr<Workspace> workspace) noexcept;
    const Layout& layout() const noexcept { return layout_; }

  private:
    const std::vector<Step>& steps_;
    Layout layout_;
    size_t threads_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;
    size_t made_ = 0;
};

}  // namespace edgesnn::executor
