#include "events/encode/csv.hpp"

#include <algorithm>
#include <charconv>

namespace edgesnn::events {
namespace {

constexpr size_t kMostDigits = 24;  // of one value, with its sign, point and separator

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

char* put_value(char* at, const Event& event, Column column, int scale) noexcept {
    switch (column) {
        case Column::t:
            return put_time(at, event.t, scale);
        case Column::x:
            return put_integer(at, event.x);
        case Column::y:
            return put_integer(at, event.y);
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
    std::string block(kBlock * line, '\0');
    for (size_t start = 0; start < events.size; start += kBlock) {
        char* at = block.data();
        const size_t stop = std::min(events.size, start + kBlock);
        for (size_t i = start; i < stop; ++i) {
            const Event event = events.data[i];
            for (const Column column : columns.order) {
                at = put_value(at, event, column, columns.scale);
                *at++ = ',';
            }
            at[-1] = '\n';
        }
        out.append(block.data(), static_cast<size_t>(at - block.data()));
    }
}

}  // namespace edgesnn::events
