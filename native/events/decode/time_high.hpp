// The high part of an EVT clock: epoch (wraps) and the last believed TIME_HIGH, which damaged words must not move.
//
// A word that repeats its predecessor or (in a stream that does not repeat its words) follows it by one is believed at
// once. Any other word waits for those after it: docs/formats.md, "The clock of EVT2 and EVT3". Knows no events: who
// keeps them gets a verdict for each word that waited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/error.hpp"
#include "base/state_io.hpp"

namespace edgesnn::events {

// What became of a word that waited.
struct TimeVerdict {
    bool believed = false;
    bool placed = false;  // its time is known: it is believed, or the words around it agree
    bool jump = false;    // believed, and neither a repetition nor the next value
    int64_t value = 0;    // the right value, wraps included, where placed
};

class TimeHigh {
  public:
    static constexpr size_t kRun = 6;  // so many words onward of each other are a clock of their own
    using Verdicts = std::array<TimeVerdict, kRun>;

    // `near`: how far ahead of the believed word another one still belongs to its clock.
    TimeHigh(int bits, uint32_t near) noexcept : mask_((uint32_t{1} << bits) - 1), near_(near) {}

    bool started() const noexcept { return reference_ >= 0 || waiting(); }  // a time is known, be it one that waits
    bool waiting() const noexcept { return count_ != 0; }
    size_t count() const noexcept { return count_; }
    // The current word, wraps included: what is shifted left by the format's low bits.
    int64_t value() const noexcept { return waiting() ? values_[count_ - 1] : epoch_ * period() + reference_; }

    // Takes a word that only repeats the believed one, the common case; false: give it to take().
    bool take_same(uint32_t word) noexcept {
        if (waiting() || reference_ != static_cast<int64_t>(word)) return false;
        repeated_ = repeats_ = true;
        return true;
    }

    // Takes a word. Returns how many waiting words it settled (all or none), their verdicts in order.
    // Afterwards value() is the new word's, and it waits or not.
    size_t take(uint32_t word, Verdicts& verdicts) noexcept {
        size_t settled = 0;
        if (waiting()) {
            if (goes_on(word)) {
                wait(word);
                return count_ == kRun ? believe_all(verdicts) : 0;
            }
            settled = judge(word, verdicts);
        }
        advance(word);
        return settled;
    }

    // No word follows: settles the waiting ones.
    size_t finish(Verdicts& verdicts) noexcept {
        const bool sparse = !repeats_ || reference_ < 0;
        if (sparse && (reference_ < 0 || forward(low(reference_), words_[0]))) return believe_all(verdicts);
        return judge_steps(verdicts);
    }

    // Believes all that wait.
    size_t believe_all(Verdicts& verdicts) noexcept {
        const size_t settled = count_;
        for (size_t i = 0; i < settled; ++i) verdicts[i] = believe(words_[i], values_[i] / period());
        count_ = 0;
        return settled;
    }

    void save(StateWriter& writer) const;
    void load(const StateReader& reader);  // throws Error{model} and changes nothing then

  private:
    static constexpr int64_t kMaxEpoch = int64_t{1} << 24;  // keeps every time inside int64

    int64_t period() const noexcept { return int64_t{mask_} + 1; }
    uint32_t low(int64_t value) const noexcept { return static_cast<uint32_t>(value) & mask_; }
    uint32_t distance(uint32_t from, uint32_t to) const noexcept { return (to - from) & mask_; }
    // "near 4095 to near 0": from the last quarter of the range into the first.
    bool wraps(uint32_t from, uint32_t to) const noexcept {
        const uint32_t quarter = (mask_ >> 2) + 1;
        return from >= 3 * quarter && to < quarter;
    }
    bool forward(uint32_t from, uint32_t to) const noexcept { return to >= from || wraps(from, to); }
    int64_t epoch_after(int64_t epoch, uint32_t from, uint32_t to) const noexcept {
        return wraps(from, to) && epoch < kMaxEpoch ? epoch + 1 : epoch;
    }

    // A word while nothing waits: believed at once, or the first that waits.
    void advance(uint32_t word) noexcept {
        if (reference_ >= 0) {
            const uint32_t step = distance(low(reference_), word);
            if (step == 0 || (step == 1 && !repeats_)) {
                believe(word, epoch_after(epoch_, low(reference_), word));
                return;
            }
        }
        wait(word);
    }
    void wait(uint32_t word) noexcept {
        const int64_t before = value();
        const int64_t epoch = started() ? epoch_after(before / period(), low(before), word) : 0;
        words_[count_] = word;
        values_[count_++] = epoch * period() + word;
    }
    // Whether the clock of the reference goes on with `word`. A camera that repeats its words leaves no long gaps.
    bool close(uint32_t word) const noexcept {
        return distance(low(reference_), word) <= (repeats_ ? near_ / 16 : near_);
    }
    // Whether `word` belongs to the clock of the waiting words rather than to the believed one's.
    bool goes_on(uint32_t word) const noexcept {
        if (reference_ < 0 || close(word)) return false;
        return forward(words_[count_ - 1], word);
    }
    size_t judge(uint32_t word, Verdicts& verdicts) noexcept {
        if (reference_ < 0) return judge_first(word, verdicts);
        if (!close(word)) return judge_steps(verdicts);
        const size_t settled = count_;
        for (size_t i = 0; i < settled; ++i) {  // believed: what lies on the way to `word`
            const bool passes = distance(low(reference_), words_[i]) <= distance(low(reference_), word);
            verdicts[i] = passes ? believe(words_[i], epoch_after(epoch_, low(reference_), words_[i])) : doubt(word);
        }
        count_ = 0;
        return settled;
    }
    // There is no believed word: the first of the stream stands if the second is not before it.
    size_t judge_first(uint32_t word, Verdicts& verdicts) noexcept {
        if (word >= words_[0] || distance(words_[0], word) <= mask_ / 16) return believe_all(verdicts);
        verdicts[0] = {};
        count_ = 0;
        return 1;
    }
    // What comes after does not help: believed as long as they repeat or follow by one.
    size_t judge_steps(Verdicts& verdicts) noexcept {
        const size_t settled = count_;
        bool steps = reference_ >= 0;
        for (size_t i = 0; i < settled; ++i) {
            steps = steps && distance(low(reference_), words_[i]) <= 1;
            verdicts[i] = steps ? believe(words_[i], epoch_after(epoch_, low(reference_), words_[i])) : TimeVerdict{};
        }
        count_ = 0;
        return settled;
    }

    TimeVerdict believe(uint32_t word, int64_t epoch) noexcept {
        const int64_t value = epoch * period() + word;
        if (reference_ == static_cast<int64_t>(word)) {
            repeated_ = repeats_ = true;
            return {true, true, false, value};
        }
        const bool jump = reference_ >= 0 && distance(low(reference_), word) != 1;
        reference_ = word;
        epoch_ = epoch;
        repeats_ = repeated_;
        repeated_ = false;
        return {true, true, jump, value};
    }
    // A damaged word; it was the reference's repetition if the next one is.
    TimeVerdict doubt(uint32_t next) const noexcept {
        return {false, reference_ == static_cast<int64_t>(next), false, epoch_ * period() + reference_};
    }

    uint32_t mask_;
    uint32_t near_;
    int64_t epoch_ = 0;
    int64_t reference_ = -1;              // the last believed word, -1: none yet
    bool repeats_ = false;                // the word before the reference, or the reference, came more than once
    bool repeated_ = false;               // the reference came more than once
    std::array<uint32_t, kRun> words_{};  // that wait
    std::array<int64_t, kRun> values_{};  // theirs, wraps included
    size_t count_ = 0;
};

}  // namespace edgesnn::events
