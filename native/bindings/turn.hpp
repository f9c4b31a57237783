// One thread at a time: a second one is refused instead of corrupting the first one's work.
#pragma once

#include <atomic>
#include <string>

#include "base/error.hpp"

namespace edgesnn::bindings {

class Turn {
  public:
    using Flag = std::atomic_flag;

    Turn(Flag& taken, const char* what) : taken_(taken) {
        if (taken_.test_and_set())
            throw Error(ErrorKind::usage, std::string("a ") + what + " is used by two threads at once", what, {}, {},
                        "give every thread its own, or a lock");
    }
    ~Turn() { taken_.clear(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    Flag& taken_;
};

}  // namespace edgesnn::bindings
