#include "base/thread_pool.hpp"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace edgesnn {

namespace {

constexpr double kRepaid = 20;  // times what was lost

}  // namespace

struct ThreadPool::Workers {
    ~Workers() { stop(); }
    void loop(size_t thread) noexcept;
    void stop() noexcept;

    std::mutex mutex;
    std::condition_variable begin, end;
    Call call = nullptr;  // null once its caller needs no more threads
    const void* context = nullptr;
    size_t turn = 0;     // of the work; a worker waits for the next
    size_t working = 0;  // workers that have begun and not returned
    bool stopped = false;
    std::vector<std::thread> threads;
};

void ThreadPool::Workers::stop() noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        stopped = true;
    }
    begin.notify_all();
    for (std::thread& worker : threads) worker.join();
    threads.clear();
}

void ThreadPool::Workers::loop(size_t thread) noexcept {
    size_t done = 0;
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
        begin.wait(lock, [&] { return stopped || turn != done; });
        if (stopped) return;
        done = turn;
        if (call == nullptr) continue;
        ++working;
        const Call work = call;
        const void* const of = context;
        lock.unlock();
        work(of, thread);
        lock.lock();
        if (--working == 0) end.notify_one();
    }
}

ThreadPool::ThreadPool(size_t threads) : threads_(threads), process_(getpid()), workers_(std::make_unique<Workers>()) {
    for (size_t thread = 1; thread < threads; ++thread)
        workers_->threads.emplace_back([workers = workers_.get(), thread] { workers->loop(thread); });
}

// What threads of another process wait for cannot be destroyed here: it would wait for them.
ThreadPool::~ThreadPool() {
    if (forked()) static_cast<void>(workers_.release());
}

bool ThreadPool::forked() const noexcept {
    return getpid() != process_;
}

ThreadPool::Times ThreadPool::run(Call call, const void* context) noexcept {
    if (forked()) {
        call(context, 0);
        return {0, 0};
    }
    const auto began = Clock::now();
    Workers& workers = *workers_;
    {
        const std::lock_guard<std::mutex> lock(workers.mutex);
        workers.call = call;
        workers.context = context;
        ++workers.turn;
    }
    workers.begin.notify_all();
    call(context, 0);
    const double worked = seconds_since(began);
    std::unique_lock<std::mutex> lock(workers.mutex);
    workers.call = nullptr;
    workers.end.wait(lock, [&workers] { return workers.working == 0; });
    return {worked, seconds_since(began)};
}

// Alone each piece would have taken the caller what its own took.
void ThreadPool::judge(size_t pieces, size_t own, Times times) noexcept {
    const double alone = times.worked / static_cast<double>(own) * static_cast<double>(pieces);
    if (own != 0 && times.all > alone) debt_ = kRepaid * (times.all - alone);
}

}  // namespace edgesnn
