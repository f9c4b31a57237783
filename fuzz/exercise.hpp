// What must hold of any model that builds, whatever its sessions are fed: run is so many steps is step_many; save,
// load and recording change nothing; a new window resets what its policy says. A departure ends the process, as a
// sanitizer's finding does.
#pragma once

#include <memory>
#include <vector>

#include "bytes.hpp"
#include "executor/session.hpp"
#include "must.hpp"

namespace edgesnn::fuzz {

// One call's outputs, each slot's without padding; what is not a number is written as one such value.
class Outputs final : public executor::StepSink {
  public:
    void steps(const executor::Session& session, size_t first, size_t count) noexcept override;
    const std::vector<uint8_t>& bytes() const noexcept { return bytes_; }

  private:
    std::vector<uint8_t> bytes_;
};

// The states and the step number of a session.
StateTensors saved(const executor::Session& session);

// Begins a new window, which takes the states of policy "window", and no others, back to where they begin.
void new_window(const std::shared_ptr<const executor::Model>& model, executor::Session& session);

// Whether two saved states are the same; what is not a number equals what is not a number.
bool same(const StateTensors& a, const StateTensors& b);

// Runs sessions of the model over inputs drawn from the bytes.
void exercise(const std::shared_ptr<const executor::Model>& model, Bytes& bytes);

}  // namespace edgesnn::fuzz
