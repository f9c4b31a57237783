// A few threads that sleep until there is work; they never spin. One caller at a time, who works too and waits for
// nobody who has not begun. Where that took longer than alone (on a busy machine threads wake late, or sleep in the
// middle of their work) it works alone for twenty times as long as it lost. So it does in a forked process, where the
// others are not there; what they wait for is left as it was.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
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

    // Calls work(piece, thread) once for each piece below `pieces`, by the threads that are awake (0 is the caller),
    // and returns when all calls have. The work throws nothing. Allocates nothing.
    template <typename Work>
    void share(size_t pieces, const Work& work) noexcept {
        if (debt_ > 0) {
            const auto began = Clock::now();
            for (size_t piece = 0; piece < pieces; ++piece) work(piece, 0);
            debt_ -= seconds_since(began);
            return;
        }
        std::atomic<size_t> next{0};
        size_t own = 0;  // pieces of the caller
        const auto take = [&](size_t thread) {
            size_t taken = 0;
            for (size_t piece = next++; piece < pieces; piece = next++, ++taken) work(piece, thread);
            if (thread == 0) own = taken;
        };
        using Take = decltype(take);
        const Times times =
            run([](const void* context, size_t thread) { (*static_cast<const Take*>(context))(thread); }, &take);
        judge(pieces, own, times);
    }

  private:
    using Clock = std::chrono::steady_clock;
    static double seconds_since(Clock::time_point began) noexcept {
        return std::chrono::duration<double>(Clock::now() - began).count();
    }

    struct Workers;
    using Call = void (*)(const void* context, size_t thread);
    struct Times {
        double worked, all;  // until the caller had no more work; and until nobody had
    };
    Times run(Call call, const void* context) noexcept;
    void judge(size_t pieces, size_t own, Times times) noexcept;
    bool forked() const noexcept;

    size_t threads_;
    double debt_ = 0;  // seconds to work alone
    pid_t process_;    // that made them
    std::unique_ptr<Workers> workers_;
};

}  // namespace edgesnn
