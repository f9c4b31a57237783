#include "events/decode/csv_columns.hpp"

#include <algorithm>
#include <cctype>

#include "base/error.hpp"

namespace edgesnn::events {
namespace {

constexpr size_t kMostColumns = 64;
constexpr uint64_t kLimit = uint64_t{1} << 60;
constexpr int kMostDigits = 19;  // of which a uint64 holds every number

struct PowersOfTen {
    uint64_t at[kMostDigits + 1] = {1};
    constexpr PowersOfTen() {
        for (int i = 1; i <= kMostDigits; ++i) at[i] = at[i - 1] * 10;
    }
    constexpr uint64_t operator[](int i) const { return at[i]; }
};
constexpr PowersOfTen kTen;

struct Name {
    const char* text;
    Column column;
    int scale;
};
constexpr Name kNames[] = {
    {"t", Column::t, 0},    {"t_us", Column::t, 0},  {"t_s", Column::t, 6},
    {"t_ms", Column::t, 3}, {"t_ns", Column::t, -3}, {"x", Column::x, 0},
    {"y", Column::y, 0},    {"p", Column::p, 0},     {"-", Column::ignored, 0},
};

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
bool is_space(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r';
}
bool ends_field(char c) noexcept {
    return is_space(c) || c == ',' || c == ';';
}

// Significant digits of a number, and the power of ten that they stand at.
struct Digits {
    uint64_t value = 0;
    int count = 0;        // in value
    int power = 0;        // value * 10^power
    bool beyond = false;  // digits other than 0 beyond those in value
    bool any = false;

    void take(char c, bool fraction) noexcept {
        any = true;
        if (count == kMostDigits) {
            beyond = beyond || c != '0';
            power += fraction ? 0 : 1;
            return;
        }
        value = value * 10 + static_cast<uint64_t>(c - '0');
        count += value != 0;
        power -= fraction ? 1 : 0;
    }
};

const char* read_exponent(const char* at, const char* end, int& power) noexcept {
    if (at == end || (*at != 'e' && *at != 'E')) return at;
    ++at;
    const bool negative = at != end && *at == '-';
    if (at != end && (*at == '-' || *at == '+')) ++at;
    if (at == end || !is_digit(*at)) return nullptr;
    int exponent = 0;
    for (; at != end && is_digit(*at); ++at) exponent = std::min(exponent * 10 + (*at - '0'), 100000);
    power += negative ? -exponent : exponent;
    return at;
}

// digits.value * 10^power to the nearest integer; false: 2^60 and more.
bool round_digits(const Digits& digits, int power, uint64_t& value, bool& exact) noexcept {
    exact = !digits.beyond;
    value = 0;
    if (digits.value == 0) return true;
    if (power >= 0) {
        if (power > kMostDigits || digits.value >= (kLimit + kTen[power] - 1) / kTen[power]) return false;
        value = digits.value * kTen[power];
        return exact;
    }
    if (-power > kMostDigits) {
        exact = false;
        return true;
    }
    const uint64_t unit = kTen[-power];
    const uint64_t rest = digits.value % unit;
    value = digits.value / unit;
    const bool up = rest > unit / 2 || (rest == unit / 2 && (digits.beyond || (value & 1) != 0));
    exact = exact && rest == 0;
    value += up ? 1 : 0;
    return value < kLimit;
}

bool same_word(const char* begin, const char* end, const char* word) noexcept {
    for (; begin != end && *word != 0; ++begin, ++word)
        if (std::tolower(static_cast<unsigned char>(*begin)) != *word) return false;
    return begin == end && *word == 0;
}

bool read_polarity(const char* begin, const char* end, uint8_t& p) noexcept {
    if (end - begin == 1 && (*begin == '0' || *begin == '1')) {
        p = static_cast<uint8_t>(*begin - '0');
        return true;
    }
    for (const char* word : {"true", "on"})
        if (same_word(begin, end, word)) return p = 1, true;
    for (const char* word : {"false", "off"})
        if (same_word(begin, end, word)) return p = 0, true;
    int64_t value = 0;
    bool exact = false;
    if (!read_decimal(begin, end, 0, value, exact) || !exact || value < -1 || value > 1) return false;
    p = value == 1;
    return true;
}

CsvProblem read_field(const char* begin, const char* end, Column column, int scale, CsvRecord& record) {
    bool exact = false;
    switch (column) {
        case Column::t:
            return read_decimal(begin, end, scale, record.t, exact) ? nullptr : "its time is not a number";
        case Column::x:
            return read_decimal(begin, end, 0, record.x, exact) && exact ? nullptr : "its x is not a whole number";
        case Column::y:
            return read_decimal(begin, end, 0, record.y, exact) && exact ? nullptr : "its y is not a whole number";
        case Column::p:
            return read_polarity(begin, end, record.p) ? nullptr
                                                       : "its polarity is none of 0, 1, -1, true, false, on, off";
        default:
            return nullptr;
    }
}

}  // namespace

CsvColumns CsvColumns::parse(const std::string& variant) {
    CsvColumns columns;
    columns.text = variant.empty() ? "t,x,y,p" : variant;
    int seen[4] = {};
    for (size_t at = 0; at <= columns.text.size();) {
        const size_t stop = std::min(columns.text.find(',', at), columns.text.size());
        const std::string word = columns.text.substr(at, stop - at);
        const Name* name =
            std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return word == n.text; });
        if (name == std::end(kNames))
            throw Error(ErrorKind::usage, "not a column", "variant", "'" + word + "'",
                        "t, t_s, t_ms, t_us, t_ns, x, y, p or -");
        if (name->column == Column::t) columns.scale = name->scale;
        if (name->column != Column::ignored) ++seen[static_cast<int>(name->column)];
        columns.order.push_back(name->column);
        at = stop + 1;
    }
    if (!std::all_of(std::begin(seen), std::end(seen), [](int n) { return n == 1; }) ||
        columns.order.size() > kMostColumns)
        throw Error(ErrorKind::usage, "columns are not those of events", "variant", "'" + columns.text + "'",
                    "t, x, y and p once each, for example t,x,y,p");
    return columns;
}

bool CsvColumns::is(Column first, Column second, Column third, Column fourth) const {
    return order == std::vector<Column>{first, second, third, fourth};
}

bool is_csv_blank(const char* begin, const char* end) noexcept {
    while (begin != end && is_space(*begin)) ++begin;
    return begin == end || *begin == '#' || *begin == '%' || (end - begin > 1 && begin[0] == '/' && begin[1] == '/');
}

CsvProblem read_csv_line(const char* begin, const char* end, const CsvColumns& columns, CsvRecord& record) {
    CsvRecord found;
    const char* at = begin;
    const auto skip_spaces = [&] {
        while (at != end && is_space(*at)) ++at;
    };
    skip_spaces();
    for (size_t i = 0; i < columns.order.size(); ++i) {
        if (at == end && i != 0) return "it has too few columns";
        const char* start = at;
        while (at != end && !ends_field(*at)) ++at;
        if (CsvProblem problem = read_field(start, at, columns.order[i], columns.scale, found)) return problem;
        skip_spaces();
        const bool last = i + 1 == columns.order.size();
        if (!last && at != end && (*at == ',' || *at == ';')) {
            ++at;
            skip_spaces();
            if (at == end && columns.order[i + 1] == Column::ignored && i + 2 == columns.order.size()) break;
        }
    }
    if (at != end) return "it has too many columns";
    record = found;
    return nullptr;
}

bool read_decimal(const char* begin, const char* end, int scale, int64_t& value, bool& exact) noexcept {
    const bool negative = begin != end && *begin == '-';
    if (begin != end && (*begin == '-' || *begin == '+')) ++begin;
    Digits digits;
    const char* at = begin;
    for (; at != end && is_digit(*at); ++at) digits.take(*at, false);
    if (at != end && *at == '.')
        for (++at; at != end && is_digit(*at); ++at) digits.take(*at, true);
    int power = digits.power;
    at = digits.any ? read_exponent(at, end, power) : nullptr;
    uint64_t magnitude = 0;
    if (at != end || !round_digits(digits, power + scale, magnitude, exact)) return false;
    value = negative ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
    return true;
}

}  // namespace edgesnn::events
