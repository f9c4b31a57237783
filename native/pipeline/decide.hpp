// From scores to a decision: softmax, rejection, and the onset and offset hysteresis of the active label.
// The readable form, equal bit for bit, is edgesnn/runtime/decide.py; the rule stands in docs/pipeline.md, "Decide".
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/span.hpp"
#include "base/stage.hpp"

namespace edgesnn::pipeline {

struct Readout {
    int32_t classes = 0;
    float temperature = 1.0f;
    float rejection = 0.0f;
    float onset_confidence = 0.0f;
    int32_t onset_windows = 1;
    float offset_confidence = 0.0f;
    int32_t offset_windows = 1;
    float exit_confidence = 1.0f;  // early exit: a window stops once a probability exceeds this,
    int32_t exit_steps = 0;        // after so many steps or more; 0: never
};

// Whether a window's running scores decide it before its last step (Dynamic Confidence, Li et al., ICCV 2023).
class EarlyExit {
  public:
    explicit EarlyExit(const Readout& readout) : readout_(readout) {}
    bool on() const noexcept { return readout_.exit_steps > 0; }
    // scores [classes] after `steps` steps; scores that are not finite stop nothing.
    bool stops(const std::vector<float>& scores, int64_t steps);

  private:
    Readout readout_;
    std::vector<float> probabilities_;
};

enum class Verdict : int32_t { idle, none, label };

struct Decision {
    Verdict verdict = Verdict::idle;
    int32_t active = -1;               // the class, where the verdict is label
    std::vector<float> probabilities;  // [classes]; empty for an idle window
};

class Decide final : public Stage {
  public:
    // Throws Error{model} on a readout that cannot decide.
    explicit Decide(const Readout& readout);

    // scores [classes], or empty for an idle window. An error where a score or probability is not finite or the number
    // is wrong.
    Status push(Span<const float> scores, Decision& out);
    void reset() noexcept { state_ = State{}; }

    const char* section() const noexcept override { return "decide"; }
    void save(StateWriter& writer) const override;
    void load(const StateReader& reader) override;
    void count(CounterMap& counters) const override;

  private:
    struct State {
        int32_t active = -1;
        int32_t misses = 0;  // windows in a row without the active label
        int32_t candidate = -1;
        int32_t run = 0;  // windows in a row with the candidate
    };
    Status measure(Span<const float> scores, Decision& out) const;
    void follow(bool hit, int32_t best, float confidence) noexcept;

    Readout readout_;
    State state_;
    int64_t decisions_[3] = {};
};

}  // namespace edgesnn::pipeline
