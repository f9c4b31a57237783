// Rows of numbers, column by column, as events: those that need no care, all or none. docs/formats.md, "NPY and NPZ".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/event.hpp"

namespace edgesnn::events {

enum class Number { i8, u8, i16, u16, i32, u32, i64, u64, f32, f64 };

struct Column {
    const uint8_t* at = nullptr;  // of the first row, any alignment
    std::ptrdiff_t step = 0;      // bytes from row to row
    Number number = Number::u8;
};

struct RowRules {
    double t_factor = 1;  // of times that are floating-point numbers: microseconds of a 1
    int32_t width = 0;    // coordinates are below these, at most 65536
    int32_t height = 0;
    int64_t latest_us = 0;  // of the event before the first; where `first`, of none
    bool first = false;
    int64_t ahead_us = 0;  // times rise, in steps of at most this
};

// Appends the events of `count` rows; false, and nothing is appended, where a row is another one: a number that is not
// whole, a place outside, a polarity other than -1, 0 and 1, a time below -2^51 or from 2^51 us on, or one that falls
// or leaps. Times are rounded half to even.
bool pack_rows(const Column& t, const Column& x, const Column& y, const Column& p, size_t count, const RowRules& rules,
               std::vector<Event>& out);

}  // namespace edgesnn::events
