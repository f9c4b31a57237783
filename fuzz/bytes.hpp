// Choices read from a fuzzer's bytes. Past the end every byte is 0, so a cut input means something too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace edgesnn::fuzz {

class Bytes {
  public:
    Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

    bool empty() const noexcept { return at_ >= size_; }
    uint8_t byte() noexcept { return empty() ? uint8_t{0} : data_[at_++]; }
    bool flag() noexcept { return (byte() & 1) != 0; }
    // 0 to n - 1; n is 1 to 256.
    size_t below(size_t n) noexcept { return byte() % n; }
    // low to high, both at most a byte apart.
    int64_t from(int64_t low, int64_t high) noexcept {
        return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
    }
    template <typename T, size_t N>
    T pick(const T (&choices)[N]) noexcept {
        return choices[below(N)];
    }
    // Mostly false: whether to depart from what a model may say. Costs no byte where `hostile` is not set.
    bool odd() noexcept { return hostile && byte() >= 244; }
    // Any number, the borders of types and of our limits before others.
    int64_t number() noexcept {
        static constexpr int64_t kBorders[] = {0,
                                               1,
                                               -1,
                                               2,
                                               3,
                                               16,
                                               17,
                                               255,
                                               256,
                                               257,
                                               -128,
                                               4096,
                                               4097,
                                               32768,
                                               32769,
                                               65535,
                                               65536,
                                               (1 << 28),
                                               (1 << 28) + 1,
                                               INT32_MAX,
                                               INT32_MIN,
                                               int64_t{1} << 32,
                                               int64_t{1} << 62,
                                               INT64_MAX,
                                               INT64_MIN};
        const size_t choice = byte();
        if (choice < std::size(kBorders)) return kBorders[choice];
        int64_t value = 0;
        for (int i = 0; i < 8; ++i) value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8 | byte());
        return value;
    }

    bool hostile = false;

  private:
    const uint8_t* data_;
    size_t size_, at_ = 0;
};

// Many values from one byte of the input: SplitMix64 (Steele et al., OOPSLA 2014).
class Stream {
  public:
    explicit Stream(uint64_t seed) : state_(seed) {}
    uint64_t next() noexcept {
        uint64_t z = state_ += 0x9E3779B97F4A7C15U;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
        z = (z ^ z >> 27) * 0x94D049BB133111EBU;
        return z ^ z >> 31;
    }
    // low to high, both included.
    int64_t from(int64_t low, int64_t high) noexcept {
        return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
    }
    // -1 to 1.
    float real() noexcept { return static_cast<float>(static_cast<int64_t>(next() % 2001) - 1000) / 1000.0F; }
    // Any bits: infinities, denormals and what is not a number too.
    float any() noexcept {
        const auto bits = static_cast<uint32_t>(next());
        float value;
        std::memcpy(&value, &bits, sizeof(value));
        return value;
    }

  private:
    uint64_t state_;
};

}  // namespace edgesnn::fuzz
