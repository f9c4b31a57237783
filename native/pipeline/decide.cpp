#include "pipeline/decide.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/exp32.hpp"
#include "base/float_environment.hpp"

namespace edgesnn::pipeline {
namespace {

void require(bool ok, const char* field, double found, const char* expected) {
    if (!ok)
        throw Error(ErrorKind::model, "readout cannot decide", std::string("readout.") + field, std::to_string(found),
                    expected);
}

bool share(float value) noexcept {
    return value >= 0.0f && value <= 1.0f;
}

Status unusable(std::string what, std::string found, std::string expected) {
    Status status;
    status.kind = ErrorKind::model;
    status.what = std::move(what);
    status.where = "readout";
    status.found = std::move(found);
    status.expected = std::move(expected);
    return status;
}

}  // namespace

bool EarlyExit::stops(const std::vector<float>& scores, int64_t steps) {
    if (!on() || steps < readout_.exit_steps || scores.empty()) return false;
    const FloatEnvironment environment;
    probabilities_.clear();
    for (const float score : scores) probabilities_.push_back(score / readout_.temperature);
    softmax32(probabilities_.data(), probabilities_.size());
    return *std::max_element(probabilities_.begin(), probabilities_.end()) > readout_.exit_confidence;
}

Decide::Decide(const Readout& readout) : readout_(readout) {
    require(readout.classes >= 1 && readout.classes <= (1 << 20), "labels", readout.classes, "1 to 2^20");
    require(std::isfinite(readout.temperature) && readout.temperature > 0.0f, "temperature", readout.temperature,
            "a finite number above 0");
    require(share(readout.rejection), "rejection", readout.rejection, "0 to 1");
    require(share(readout.onset_confidence), "onset.confidence", readout.onset_confidence, "0 to 1");
    require(share(readout.offset_confidence), "offset.confidence", readout.offset_confidence, "0 to 1");
    require(readout.onset_windows >= 1, "onset.windows", readout.onset_windows, "1 or more");
    require(readout.offset_windows >= 1, "offset.windows", readout.offset_windows, "1 or more");
}

Status Decide::push(Span<const float> scores, Decision& out) {
    out.probabilities.clear();
    const bool idle = scores.empty();
    int32_t best = -1;
    float confidence = 0.0f;
    if (!idle) {
        if (Status status = measure(scores, out); !status.ok()) return status;
        const auto largest =
            std::max_element(out.probabilities.begin(), out.probabilities.end());  // the first of equals
        best = static_cast<int32_t>(largest - out.probabilities.begin());
        confidence = *largest;
    }
    follow(!idle && confidence >= readout_.rejection, best, confidence);
    out.verdict = idle ? Verdict::idle : state_.active >= 0 ? Verdict::label : Verdict::none;
    out.active = out.verdict == Verdict::label ? state_.active : -1;
    ++decisions_[static_cast<size_t>(out.verdict)];
    return {};
}

// p = softmax32(scores / temperature)
Status Decide::measure(Span<const float> scores, Decision& out) const {
    const FloatEnvironment environment;
    if (scores.size != static_cast<size_t>(readout_.classes))
        return unusable("the model gives another number of scores", std::to_string(scores.size),
                        std::to_string(readout_.classes));
    for (const float score : scores) {
        const float scaled = score / readout_.temperature;
        if (!std::isfinite(scaled)) return unusable("the model gives a score that is not finite", "", "finite scores");
        out.probabilities.push_back(scaled);
    }
    softmax32(out.probabilities.data(), out.probabilities.size());
    return {};
}

void Decide::follow(bool hit, int32_t best, float confidence) noexcept {
    if (state_.active >= 0) {
        const bool holds = hit && best == state_.active && confidence >= readout_.offset_confidence;
        state_.misses = holds ? 0 : state_.misses + 1;
        if (state_.misses >= readout_.offset_windows) state_.active = -1, state_.misses = 0;
    }
    if (!(hit && best != state_.active && confidence >= readout_.onset_confidence)) {
        state_.candidate = -1, state_.run = 0;
        return;
    }
    state_.run = best == state_.candidate ? state_.run + 1 : 1;
    state_.candidate = best;
    if (state_.run >= readout_.onset_windows) state_ = State{best, 0, -1, 0};
}

void Decide::save(StateWriter& writer) const {
    const int32_t state[] = {state_.active, state_.misses, state_.candidate, state_.run};
    writer.put("state", state, {4});
    writer.put("counters", decisions_, {3});
}

void Decide::load(const StateReader& reader) {
    const std::vector<int32_t> s = reader.get_array<int32_t>("state");
    const std::vector<int64_t> counts = reader.get_counts("counters", 3);
    const bool sane = s.size() == 4 && s[0] >= -1 && s[0] < readout_.classes && s[1] >= 0 &&
                      s[1] < readout_.offset_windows && s[2] >= -1 && s[2] < readout_.classes && s[3] >= 0 &&
                      s[3] < readout_.onset_windows;
    if (!sane) throw Error(ErrorKind::model, "snapshot of the decision contradicts itself", "decide");
    state_ = {s[0], s[1], s[2], s[3]};
    std::copy(counts.begin(), counts.end(), decisions_);
}

void Decide::count(CounterMap& counters) const {
    counters["decisions.idle"] += decisions_[0];
    counters["decisions.none"] += decisions_[1];
    counters["decisions.label"] += decisions_[2];
}

}  // namespace edgesnn::pipeline
