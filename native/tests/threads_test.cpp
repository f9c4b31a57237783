// Sessions of one model in parallel threads, each with a thread more of its own, with step_many, snapshots and new
// sessions beside them, give what one thread alone gives. Built with -DEDGESNN_SANITIZE=thread it also says that
// nothing of a model is written to.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/thread_pool.hpp"
#include "executor/session.hpp"
#include "tests/small_models.hpp"

namespace {

using namespace edgesnn;
using namespace edgesnn::executor;

constexpr size_t kThreads = 4, kRounds = 12, kWindows = 300, kCalls = 18;  // of 18 sessions or steps: more than a chunk

// So many rows that a window is several tiles, and groups that are no multiple of a vector.
constexpr small_models::Sizes kManyTiles{40, 27};

struct Digest final : StepSink {
    uint64_t hash = 1;
    void steps(const Session& session, size_t, size_t count) noexcept override {
        uint8_t bytes[1 << 12];
        for (size_t slot = 0; slot < count; ++slot)
            for (const int value : session.model().outputs()) {
                const ValueType& type = session.model().type(value);
                session.copy_value(value, slot, bytes);
                for (size_t i = 0; i < elements(type.shape) * type.item_size(); ++i)
                    hash = hash * 1099511628211U ^ bytes[i];
            }
    }
};

std::vector<uint8_t> inputs(const ValueType& type) {
    const size_t item = type.item_size();
    std::vector<uint8_t> array(kCalls * elements(type.shape) * item);
    for (size_t i = 0; i < array.size(); i += item)
        array[i] = static_cast<uint8_t>(i / item * 7 % 11 % static_cast<size_t>(type.bound + 1));
    return array;
}

// What a thread does: its own sessions, one after another and together.
uint64_t work(const std::shared_ptr<const Model>& model, size_t threads) {
    Digest digest;
    Session session(model, {}, true, threads);
    if (model->type(0).kind == Kind::window) {
        for (size_t round = 0; round < kWindows; ++round)
            session.run(small_models::window(static_cast<int64_t>(round), kManyTiles), digest);
        return digest.hash;
    }
    const std::vector<uint8_t> array = inputs(model->type(0));
    const ArraySource source(model->type(0), array.data());
    for (size_t round = 0; round < kRounds; ++round) {
        session.run(source, kCalls, digest);
        StateWriter writer("session");
        session.save(writer);
        std::vector<std::unique_ptr<Session>> sessions;
        std::vector<Session*> many;
        for (size_t i = 0; i < kCalls; ++i) {
            sessions.push_back(std::make_unique<Session>(model));
            many.push_back(sessions.back().get());
        }
        sessions.front()->load(StateReader(writer.tensors(), "session"));
        Session::step_many(many.data(), kCalls, source, digest);
    }
    return digest.hash;
}

bool check(const std::shared_ptr<const Model>& model, const char* name) {
    const uint64_t alone = work(model, 1);
    uint64_t found[kThreads] = {};
    std::vector<std::thread> threads;
    for (uint64_t& hash : found) threads.emplace_back([&model, &hash] { hash = work(model, 2); });
    for (std::thread& thread : threads) thread.join();
    for (const uint64_t hash : found) {
        if (hash == alone) continue;
        std::fprintf(stderr, "%s: threads give another answer\n", name);
        return false;
    }
    return true;
}

// Whatever threads wake when, each piece is done once before share returns.
bool check_pool() {
    ThreadPool pool(3);
    for (size_t call = 0; call < 3000; ++call) {
        std::vector<int> done(call % 50, 0);
        pool.share(done.size(), [&](size_t piece, size_t thread) {
            if (call % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
            done[piece] += thread < 3 ? 1 : 2;
        });
        if (std::count(done.begin(), done.end(), 1) == static_cast<std::ptrdiff_t>(done.size())) continue;
        std::fprintf(stderr, "a piece was not done once\n");
        return false;
    }
    return true;
}

}  // namespace

int main() {
    using namespace small_models;
    const bool holds = check_pool() && check(spikepoint(kManyTiles), "spikepoint") && check(recurrent(), "recurrent") &&
                       check(integers(), "integers") && check(tokens(), "tokens");
    return holds ? 0 : 1;
}
