// A few threads that sleep until there is work; they never spin. One caller at a time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace edgesnn {

class ThreadPool {
  public:
    // `threads` in all, the caller's included; at least 1. Throws std::system_error where the system gives none.
    explicit ThreadPool(size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    size_t threads() const noexcept { return workers_.size() + 1; }

    // Calls work(0), work(1), .. work(threads() - 1), each in its own thread, and returns when all have returned. The
    // work throws nothing. Allocates nothing.
    template <typename Work>
    void run(const Work& work) noexcept {
        run([](const void* context, size_t thread) { (*static_cast<const Work*>(context))(thread); }, &work);
    }

  private:
    using Call = void (*)(const void* context, size_t thread);
    void run(Call call, const void* context) noexcept;
    void loop(size_t thread) noexcept;
    void stop() noexcept;

    std::mutex mutex_;
    std::condition_variable begin_, end_;
    Call call_ = nullptr;
    const void* context_ = nullptr;
    size_t turn_ = 0;     // of the work; a worker waits for the next
    size_t working_ = 0;  // workers that have not returned
    bool stop_ = false;
    std::vector<std::thread> workers_;
};

}  // namespace edgesnn
