// Incremental encoders: events and triggers in pieces -> the bytes of a format. What a file begins with is Python's.
//
// What is written the decoder of the format reads back to the same events, in the same order, without damage.
// One thread at a time; no files, no logging.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/span.hpp"

namespace edgesnn::events {

struct EncoderOptions {
    int32_t width = 0;
    int32_t height = 0;
    std::string variant;
};

// Gathers words on the stack of an encoder's loop: keeps the growth of the vector out of it.
class WordWriter {
  public:
    explicit WordWriter(std::vector<uint8_t>& out) noexcept : out_(out) {}
    ~WordWriter() = default;
    WordWriter(const WordWriter&) = delete;
    WordWriter& operator=(const WordWriter&) = delete;

    template <typename Word>
    void put(Word word) {
        if (used_ > kSize - sizeof word) flush();
        std::memcpy(block_ + used_, &word, sizeof word);
        used_ += sizeof word;
    }
    void flush() {
        out_.insert(out_.end(), block_, block_ + used_);
        used_ = 0;
    }

  private:
    static constexpr size_t kSize = 1 << 14;

    std::vector<uint8_t>& out_;
    size_t used_ = 0;
    uint8_t block_[kSize];
};

class Encoder {
  public:
    virtual ~Encoder() = default;
    Encoder& operator=(const Encoder&) = delete;

    // Writes these events and triggers, then that the time t_end_us is reached (kNoTime: nothing of it). Throws
    // Error{recording} where the format cannot hold them; it is not to be used any more then.
    virtual void encode(Span<const Event> events, Span<const Trigger> triggers, int64_t t_end_us, WordWriter& out) = 0;
    virtual std::unique_ptr<Encoder> clone() const = 0;

  protected:
    // field_width, field_height: one more than the largest coordinate that the format can say.
    Encoder(const char* title, const EncoderOptions& options, int32_t field_width, int32_t field_height);
    Encoder(const Encoder&) = default;

    bool writable(const Event& event) const noexcept { return event.x < width_ && event.y < height_ && event.p <= 1; }
    [[noreturn]] void refuse(const Event& event) const;  // one that is not writable
    [[noreturn]] void refuse_fall(int64_t t_us, int64_t before_us) const;
    [[noreturn]] void refuse_leap(int64_t t_us, int64_t before_us, int64_t most_us) const;
    [[noreturn]] void refuse_start(int64_t t_us, int bits) const;

    const char* title_;
    int32_t width_;
    int32_t height_;
};

// A name of the table in encoder.cpp. Throws Error{usage} on another name, sensor or variant.
std::unique_ptr<Encoder> make_encoder(const std::string& name, const EncoderOptions& options);

}  // namespace edgesnn::events
