#include "executor/workspace.hpp"

#include <new>

namespace edgesnn::executor {
namespace {
constexpr size_t kAlignment = 64;

// Pages that no call writes take no memory.
void* zeros(size_t bytes) {
    void* memory = std::calloc(bytes, 1);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
}  // namespace

Workspace::Workspace(const std::vector<Step>& steps, const Layout& layout, size_t threads)
    : layout_(layout), memory_(zeros(layout.bytes + threads * layout.local_bytes + kAlignment)) {
    base_ = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<size_t>(memory_.get()), kAlignment));
    for (const Step& step : steps) shared_.push_back(step.op->shares_scratch());
    for (size_t thread = 0; thread < threads; ++thread)
        for (const Step& step : steps)
            scratch_.push_back(thread != 0 && step.op->shares_scratch() ? nullptr : step.op->scratch());
}

std::unique_ptr<Workspace> WorkspacePool::take() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!free_.empty()) {
            std::unique_ptr<Workspace> workspace = std::move(free_.back());
            free_.pop_back();
            return workspace;
        }
        free_.reserve(++made_);  // so that give never allocates
    }
    return std::make_unique<Workspace>(steps_, layout_, threads_);
}

void WorkspacePool::give(std::unique_ptr<Workspace> workspace) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(workspace));
}

}  // namespace edgesnn::executor
