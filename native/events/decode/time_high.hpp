// The high part of an EVT clock: epoch (wraps) and the last confirmed TIME_HIGH, which one bad word must not move.
//
// A word that repeats its predecessor or (in a stream that does not repeat its words) follows it by one is believed at
// once. Any other word is a candidate until the next TIME_HIGH judges it: docs/formats.md, "The clock of EVT2 and
// EVT3".
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "base/state_io.hpp"

namespace edgesnn::events {

class TimeHigh {
  public:
    enum class Verdict { confirmed, refuted };

    explicit TimeHigh(int bits) noexcept : mask_((uint32_t{1} << bits) - 1) {}

    bool started() const noexcept { return reference_ >= 0 || candidate_ >= 0; }  // a time is known, be it a candidate
    bool waiting() const noexcept { return candidate_ >= 0; }
    // Words since the epoch's start, wraps included: what is shifted left by the format's low bits.
    int64_t value() const noexcept { return waiting() ? candidate_epoch_ * period() + candidate_ : reference_value(); }
    int64_t reference_value() const noexcept { return epoch_ * period() + reference_; }
    // Whether the reference is exactly the time that the words before and after a refuted candidate agree on.
    bool at_reference(uint32_t word) const noexcept { return reference_ == static_cast<int64_t>(word); }

    // Takes a word while nothing waits. Returns true when it is now a candidate.
    bool advance(uint32_t word) noexcept {
        if (reference_ < 0) return propose(word, 0);
        const uint32_t step = distance(static_cast<uint32_t>(reference_), word);
        if (step == 0) {
            repeated_ = repeats_ = true;
            return false;
        }
        const int64_t epoch = epoch_ + (wraps(static_cast<uint32_t>(reference_), word) ? 1 : 0);
        if (step > 1 || repeats_) return propose(word, epoch);
        believe(word, epoch);
        return false;
    }

    // What the next word says of the candidate.
    Verdict judge(uint32_t word) const noexcept {
        const auto candidate = static_cast<uint32_t>(candidate_);
        if (reference_ < 0) return verdict(word >= candidate || distance(candidate, word) <= mask_ / 16);
        const auto reference = static_cast<uint32_t>(reference_);
        const uint32_t step = distance(reference, candidate);
        const bool onward = forward(reference, word);
        if (!forward(reference, candidate)) return verdict(!onward && forward(candidate, word));
        if (onward) return verdict(step <= distance(reference, word));
        return verdict(step == 1 || forward(candidate, word));
    }

    // Whether a candidate that no word follows is believed: yes, unless the stream repeats its words or it goes back.
    Verdict judge_last() const noexcept {
        if (reference_ < 0) return Verdict::confirmed;
        const auto reference = static_cast<uint32_t>(reference_);
        const auto candidate = static_cast<uint32_t>(candidate_);
        return verdict(distance(reference, candidate) == 1 || (!repeats_ && forward(reference, candidate)));
    }

    // The candidate becomes the reference. Returns true when that was a jump (more than one, or back).
    bool accept() noexcept {
        const bool jump =
            reference_ >= 0 && distance(static_cast<uint32_t>(reference_), static_cast<uint32_t>(candidate_)) != 1;
        believe(candidate_, candidate_epoch_);
        candidate_ = -1;
        return jump;
    }
    void reject() noexcept { candidate_ = -1; }

    void save(StateWriter& writer) const {
        const int64_t values[] = {epoch_,     reference_,       candidate_epoch_,
                                  candidate_, repeats_ ? 1 : 0, repeated_ ? 1 : 0};
        writer.put("time_high", values, {6});
    }
    void load(const StateReader& reader) {
        const std::vector<int64_t> v = reader.get_array<int64_t>("time_high");
        if (v.size() != 6 || !word_or_none(v[1]) || !word_or_none(v[3]) || v[0] < 0 || v[0] > kMaxEpoch || v[2] < 0 ||
            v[2] > kMaxEpoch)
            throw Error(ErrorKind::model, "snapshot of a decoder holds an impossible clock", "time_high");
        epoch_ = v[0], reference_ = v[1], candidate_epoch_ = v[2], candidate_ = v[3];
        repeats_ = v[4] != 0, repeated_ = v[5] != 0;
    }

  private:
    static constexpr int64_t kMaxEpoch = int64_t{1} << 24;  // keeps every time inside int64

    int64_t period() const noexcept { return int64_t{mask_} + 1; }
    bool word_or_none(int64_t v) const noexcept { return v >= -1 && v <= int64_t{mask_}; }
    bool propose(uint32_t word, int64_t epoch) noexcept {
        candidate_ = word;
        candidate_epoch_ = epoch;
        return true;
    }
    void believe(int64_t word, int64_t epoch) noexcept {
        reference_ = word;
        epoch_ = epoch;
        repeats_ = repeated_;
        repeated_ = false;
    }
    // "near 4095 to near 0": from the last quarter of the range into the first.
    bool wraps(uint32_t from, uint32_t to) const noexcept {
        const uint32_t quarter = (mask_ >> 2) + 1;
        return from >= 3 * quarter && to < quarter && epoch_ < kMaxEpoch;
    }
    uint32_t distance(uint32_t from, uint32_t to) const noexcept { return (to - from) & mask_; }
    static Verdict verdict(bool believed) noexcept { return believed ? Verdict::confirmed : Verdict::refuted; }
    bool forward(uint32_t from, uint32_t to) const noexcept { return to >= from || wraps(from, to); }

    uint32_t mask_;
    int64_t epoch_ = 0;
    int64_t reference_ = -1;  // the last believed word, -1: none yet
    int64_t candidate_epoch_ = 0;
    int64_t candidate_ = -1;  // the word that waits for the next one, -1: none
    bool repeats_ = false;    // the word before the reference, or the reference, came more than once
    bool repeated_ = false;   // the reference came more than once
};

}  // namespace edgesnn::events
