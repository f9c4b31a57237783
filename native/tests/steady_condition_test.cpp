// SteadyCondition waits for times of the steady clock. By the wall clock each of them would be decades ago, and a wait
// over at once.
#include "base/steady_condition.hpp"

#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

bool holds(bool value, const char* what) {
    if (!value) std::fprintf(stderr, "steady_condition: %s\n", what);
    return value;
}

bool waits_for_its_time() {
    std::mutex mutex;
    edgesnn::SteadyCondition condition;
    std::unique_lock<std::mutex> lock(mutex);
    const auto never = [] { return false; };
    const Clock::time_point until = Clock::now() + 30ms;
    const bool told = condition.wait_until(lock, until, never);
    if (!holds(!told && Clock::now() >= until, "a wait is over before its time")) return false;
    const Clock::time_point start = Clock::now();
    condition.wait_for(lock, 30ms, never);
    if (!holds(Clock::now() >= start + 30ms, "a wait is shorter than it was asked to be")) return false;
    // these end, or the test never does
    return holds(!condition.wait_until(lock, Clock::time_point::min(), never), "a time long gone was waited for") &&
           holds(!condition.wait_for(lock, 0ms, never), "no time at all was waited for");
}

bool is_told() {
    std::mutex mutex;
    edgesnn::SteadyCondition condition;
    int step = 0;
    std::thread other([&] {
        std::unique_lock<std::mutex> lock(mutex);
        condition.wait(lock, [&] { return step == 1; });
        step = 2;
        condition.notify_all();
    });
    std::unique_lock<std::mutex> lock(mutex);
    step = 1;
    condition.notify_one();
    const bool told = condition.wait_until(lock, Clock::now() + 10min, [&] { return step == 2; });
    lock.unlock();
    other.join();
    return holds(told, "what another thread told did not come");
}

}  // namespace

int main() {
    return waits_for_its_time() && is_told() ? 0 : 1;
}
