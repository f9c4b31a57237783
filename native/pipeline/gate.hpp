// Lets one thread stop the others between two of their steps. A step never waits for anything but the gate.
#pragma once

#include <condition_variable>
#include <mutex>

namespace edgesnn::pipeline {

class Gate {
  public:
    class Step {  // one at a time, and none during a pause
      public:
        explicit Step(Gate& gate) : gate_(gate) {
            std::unique_lock<std::mutex> lock(gate_.mutex_);
            gate_.change_.wait(lock, [this] { return !gate_.busy_ && gate_.pauses_ == 0; });
            gate_.busy_ = true;
        }
        ~Step() {
            const std::lock_guard<std::mutex> lock(gate_.mutex_);
            gate_.busy_ = false;
            gate_.change_.notify_all();
        }
        Step(const Step&) = delete;
        Step& operator=(const Step&) = delete;

      private:
        Gate& gate_;
    };

    class Pause {
      public:
        explicit Pause(Gate& gate) : gate_(gate) {
            std::unique_lock<std::mutex> lock(gate_.mutex_);
            ++gate_.pauses_;
            gate_.change_.wait(lock, [this] { return !gate_.busy_; });
        }
        ~Pause() {
            const std::lock_guard<std::mutex> lock(gate_.mutex_);
            --gate_.pauses_;
            gate_.change_.notify_all();
        }
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;

      private:
        Gate& gate_;
    };

  private:
    std::mutex mutex_;
    std::condition_variable change_;
    bool busy_ = false;
    int pauses_ = 0;
};

}  // namespace edgesnn::pipeline
