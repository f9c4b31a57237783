#include "events/encode/csv.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace edgesnn::events {
namespace {

constexpr size_t kMostDigits = 24;  // of one value, with its sign, point and separator

// The digits of every number below 10000, the first in the lowest byte.
struct SmallNumbers {
    static constexpr uint32_t kCount = 10'000;
    uint32_t text[kCount] = {};
    constexpr SmallNumbers() {
        for (uint32_t value = 0; value < kCount; ++value) {
            uint32_t digits = 0;
            uint32_t rest = value;
            do {
                digits = digits << 8 | ('0' + rest % 10);
                rest /= 10;
            } while (rest != 0);
            text[value] = digits;
        }
    }
};
constexpr SmallNumbers kSmall;

char* put_integer(char* at, int64_t value) noexcept {
    return std::to_chars(at, at + kMostDigits, value).ptr;
}

// value / 10^places with all its decimals.
char* put_decimal(char* at, int64_t value, int places, int64_t unit) noexcept {
    if (value < 0) *at++ = '-';
    const int64_t magnitude = value < 0 ? -value : value;
    at = put_integer(at, magnitude / unit);
    *at = '.';
    int64_t rest = magnitude % unit;
    for (int i = places; i > 0; --i, rest /= 10) at[i] = static_cast<char>('0' + rest % 10);
    return at + 1 + places;
}

char* put_time(char* at, int64_t t_us, int scale) noexcept {
    if (scale == 6) return put_decimal(at, t_us, 6, 1'000'000);
    if (scale == 3) return put_decimal(at, t_us, 3, 1'000);
    at = put_integer(at, t_us);
    if (scale == 0 || t_us == 0) return at;
    return std::fill_n(at, 3, '0');  // nanoseconds
}

char* put_place(char* at, uint32_t value) noexcept {
    if (value >= SmallNumbers::kCount) return put_integer(at, value);
    std::memcpy(at, &kSmall.text[value], sizeof(uint32_t));
    return at + 1 + (value >= 10) + (value >= 100) + (value >= 1000);
}

// The text of a time, kept for the events that have the same one.
class TimeText {
  public:
    explicit TimeText(int scale) : scale_(scale) {}

    char* put(char* at, int64_t t_us) noexcept {
        if (size_ == 0 || t_us != t_us_) {
            size_ = static_cast<size_t>(put_time(text_, t_us, scale_) - text_);
            t_us_ = t_us;
        }
        std::memcpy(at, text_, sizeof text_);
        return at + size_;
    }

  private:
    char text_[kMostDigits] = {};
    size_t size_ = 0;
    int64_t t_us_ = 0;
    int scale_;
};

char* put_value(char* at, const Event& event, Column column, TimeText& time) noexcept {
    switch (column) {
        case Column::t:
            return time.put(at, event.t);
        case Column::x:
            return put_place(at, event.x);
        case Column::y:
            return put_place(at, event.y);
        case Column::p:
            *at = static_cast<char>('0' + (event.p & 1));
            return at + 1;
        default:
            return at;
    }
}

}  // namespace

void write_csv(Span<const Event> events, const CsvColumns& columns, std::string& out) {
    constexpr size_t kBlock = 256;
    const size_t line = columns.order.size() * (kMostDigits + 1) + 1;
    TimeText time(columns.scale);
    std::string block(kBlock * line, '\0');
    for (size_t start = 0; start < events.size; start += kBlock) {
        char* at = block.data();
        const size_t stop = std::min(events.size, start + kBlock);
        for (size_t i = start; i < stop; ++i) {
            const Event event = events.data[i];
            for (const Column column : columns.order) {
                at = put_value(at, event, column, time);
                *at++ = ',';
            }
            at[-1] = '\n';
        }
        out.append(block.data(), static_cast<size_t>(at - block.data()));
    }
}

}  // namespace edgesnn::events
