// The columns of a text recording and one line of it, read slowly: any separators, decimals, exponents, words.
// docs/formats.md, "CSV and TXT".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgesnn::events {

enum class Column : uint8_t { t, x, y, p, ignored };

struct CsvColumns {
    std::vector<Column> order;
    int scale = 0;     // a time in the file is 10^scale us
    std::string text;  // as it was given, for messages

    // "t_us,x,y,p": each of t (t_s, t_ms, t_us, t_ns), x, y, p once, "-" for what is left out. Throws Error{usage}.
    static CsvColumns parse(const std::string& variant);
    bool is(Column first, Column second, Column third, Column fourth) const;
};

// A line's values; x and y may be outside of anything.
struct CsvRecord {
    int64_t t = 0, x = 0, y = 0;
    uint8_t p = 0;
};

// What is wrong with a line: nothing, or a clause for a message.
using CsvProblem = const char*;

// Reads the line [begin, end), without its end. No record is written on a problem.
CsvProblem read_csv_line(const char* begin, const char* end, const CsvColumns& columns, CsvRecord& record);
// Whether a line holds nothing: blank, or a comment (#, %, //).
bool is_csv_blank(const char* begin, const char* end) noexcept;

// The decimal number [begin, end) times 10^scale, rounded to the nearest (half to even); `exact` says whether it was
// one already. False: not a number, or 2^60 and more.
bool read_decimal(const char* begin, const char* end, int scale, int64_t& value, bool& exact) noexcept;

}  // namespace edgesnn::events
