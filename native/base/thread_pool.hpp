// A few threads that sleep until there is work; they never spin. One caller at a time. In a forked process they are not
// there: the caller does their work too, and what they wait for is left as it was.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>

namespace edgesnn {

class ThreadPool {
  public:
    // `threads` in all, the caller's included; at least 1. Throws std::system_error where the system gives none.
    explicit ThreadPool(size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    size_t threads() const noexcept { return threads_; }

    // Calls work(0), work(1), .. work(threads() - 1), each in its own thread, and returns when all have returned. The
    // work throws nothing. Allocates nothing.
    template <typename Work>
    void run(const Work& work) noexcept {
        run([](const void* context, size_t thread) { (*static_cast<const Work*>(context))(thread); }, &work);
    }

  private:
    struct Workers;
    using Call = void (*)(const void* context, size_t thread);
    void run(Call call, const void* context) noexcept;
    bool forked() const noexcept;

    size_t threads_;
    pid_t process_;  // that made them
    std::unique_ptr<Workers> workers_;
};

}  // namespace edgesnn
