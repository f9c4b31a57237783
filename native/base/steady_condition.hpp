// A condition that waits by the steady clock whatever the C library: below glibc 2.30, where our wheels run too,
// std::condition_variable makes a time of the wall clock of it, and waits on where that is set back.
#pragma once

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace edgesnn {

class SteadyCondition {
  public:
    SteadyCondition() noexcept {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);  // of std::chrono::steady_clock
        pthread_cond_init(&condition_, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    ~SteadyCondition() { pthread_cond_destroy(&condition_); }
    SteadyCondition(const SteadyCondition&) = delete;
    SteadyCondition& operator=(const SteadyCondition&) = delete;

    void notify_one() noexcept { pthread_cond_signal(&condition_); }
    void notify_all() noexcept { pthread_cond_broadcast(&condition_); }

    template <typename Done>
    void wait(std::unique_lock<std::mutex>& lock, Done done) {
        while (!done()) pthread_cond_wait(&condition_, lock.mutex()->native_handle());
    }
    // Return what `done` says at the end.
    template <typename Done>
    bool wait_until(std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point when, Done done) {
        const int64_t ns =
            std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count());
        const timespec until{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
        while (!done()) {
            if (pthread_cond_timedwait(&condition_, lock.mutex()->native_handle(), &until) == ETIMEDOUT) return done();
        }
        return true;
    }
    template <typename Done>
    bool wait_for(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds most, Done done) {
        return wait_until(lock, std::chrono::steady_clock::now() + most, done);
    }

  private:
    pthread_cond_t condition_;
};

}  // namespace edgesnn
