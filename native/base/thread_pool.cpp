#include "base/thread_pool.hpp"

namespace edgesnn {

ThreadPool::ThreadPool(size_t threads) {
    try {
        for (size_t thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { loop(thread); });
    } catch (...) {
        stop();
        throw;
    }
}

ThreadPool::~ThreadPool() {
    stop();
}

void ThreadPool::stop() noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    begin_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
}

void ThreadPool::run(Call call, const void* context) noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        call_ = call;
        context_ = context;
        working_ = workers_.size();
        ++turn_;
    }
    begin_.notify_all();
    call(context, 0);
    std::unique_lock<std::mutex> lock(mutex_);
    end_.wait(lock, [this] { return working_ == 0; });
}

void ThreadPool::loop(size_t thread) noexcept {
    size_t done = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
        begin_.wait(lock, [&] { return stop_ || turn_ != done; });
        if (stop_) return;
        done = turn_;
        const Call call = call_;
        const void* const context = context_;
        lock.unlock();
        call(context, thread);
        lock.lock();
        if (--working_ == 0) end_.notify_one();
    }
}

}  // namespace edgesnn
