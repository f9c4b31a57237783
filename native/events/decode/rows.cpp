#include "events/decode/rows.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "events/decode/event_block.hpp"

namespace edgesnn::events {
namespace {

constexpr size_t kBlock = 512;                         // rows at once: their numbers stay in the first-level cache
constexpr int64_t kMostUs = int64_t{1} << 51;          // below it the sum with kRounder is exact but for the rounding
constexpr double kRounder = 0x1.8p52;                  // its neighbours are whole numbers
constexpr uint64_t kRounderBits = 0x4338000000000000;  // as it lies in memory

template <typename T>
T load(const uint8_t* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Calls take(i, value) for `count` rows; a column without gaps has a loop of its own, which the compiler can widen.
template <typename T, typename Take>
void for_rows(const uint8_t* at, std::ptrdiff_t step, size_t count, Take&& take) noexcept {
    if (step == static_cast<std::ptrdiff_t>(sizeof(T))) {
        for (size_t i = 0; i < count; ++i) take(i, load<T>(at + i * sizeof(T)));
    } else {
        for (size_t i = 0; i < count; ++i) take(i, load<T>(at + static_cast<std::ptrdiff_t>(i) * step));
    }
}

// Calls with(T{}) for the type that `number` names.
template <typename With>
auto with_type(Number number, With&& with) {
    switch (number) {
        case Number::i8:
            return with(int8_t{});
        case Number::u8:
            return with(uint8_t{});
        case Number::i16:
            return with(int16_t{});
        case Number::u16:
            return with(uint16_t{});
        case Number::i32:
            return with(int32_t{});
        case Number::u32:
            return with(uint32_t{});
        case Number::i64:
            return with(int64_t{});
        case Number::u64:
            return with(uint64_t{});
        case Number::f32:
            return with(float{});
        case Number::f64:
            break;
    }
    return with(double{});
}

// Whole numbers from 0 to below `limit`; false: there are others.
bool places(const Column& column, size_t row, size_t count, uint32_t limit, uint16_t* out) {
    const uint8_t* at = column.at + static_cast<std::ptrdiff_t>(row) * column.step;
    return with_type(column.number, [&](auto type) {
        using T = decltype(type);
        uint32_t odd = 0;
        for_rows<T>(at, column.step, count, [&](size_t i, T value) {
            if constexpr (std::is_floating_point_v<T>) {
                const double number = value >= 0 && value < static_cast<T>(limit) ? static_cast<double>(value) : 0.5;
                const auto whole = static_cast<int32_t>(number);
                odd |= static_cast<uint32_t>(static_cast<double>(whole) != number);
                out[i] = static_cast<uint16_t>(whole);
            } else {
                odd |= static_cast<uint32_t>(static_cast<uint64_t>(static_cast<int64_t>(value)) >= limit);
                out[i] = static_cast<uint16_t>(value);
            }
        });
        return odd == 0;
    });
}

bool polarities(const Column& column, size_t row, size_t count, uint8_t* out) {
    const uint8_t* at = column.at + static_cast<std::ptrdiff_t>(row) * column.step;
    return with_type(column.number, [&](auto type) {
        using T = decltype(type);
        uint32_t odd = 0;
        for_rows<T>(at, column.step, count, [&](size_t i, T value) {
            const bool on = value == T{1};
            bool off = value == T{0};
            if constexpr (std::is_signed_v<T>) off |= value == T{-1};
            odd |= static_cast<uint32_t>(!(on | off));
            out[i] = static_cast<uint8_t>(on);
        });
        return odd == 0;
    });
}

bool times(const Column& column, size_t row, size_t count, double factor, int64_t* out) {
    const uint8_t* at = column.at + static_cast<std::ptrdiff_t>(row) * column.step;
    return with_type(column.number, [&](auto type) {
        using T = decltype(type);
        uint32_t odd = 0;
        for_rows<T>(at, column.step, count, [&](size_t i, T value) {
            if constexpr (std::is_floating_point_v<T>) {
                const double us = static_cast<double>(value) * factor;
                odd |=
                    static_cast<uint32_t>(!(us > -static_cast<double>(kMostUs) && us < static_cast<double>(kMostUs)));
                const double sum = us + kRounder;
                uint64_t bits;
                std::memcpy(&bits, &sum, sizeof bits);
                out[i] = static_cast<int64_t>(bits - kRounderBits);
            } else {
                if constexpr (sizeof(T) == sizeof(int64_t)) {
                    odd |= static_cast<uint32_t>(value >= static_cast<T>(kMostUs));
                    if constexpr (std::is_signed_v<T>) odd |= static_cast<uint32_t>(value <= -kMostUs);
                }
                out[i] = static_cast<int64_t>(value);
            }
        });
        return odd == 0;
    });
}

}  // namespace

bool pack_rows(const Column& t, const Column& x, const Column& y, const Column& p, size_t count, const RowRules& rules,
               std::vector<Event>& out) {
    const size_t before = out.size();
    out.reserve(before + count);
    int64_t t_us[kBlock];
    uint16_t xs[kBlock], ys[kBlock];
    uint8_t ps[kBlock];
    uint8_t block[kBlock * sizeof(Event)];
    int64_t last_us = rules.latest_us;
    for (size_t row = 0; row < count; row += kBlock) {
        const size_t some = std::min(kBlock, count - row);
        bool good = times(t, row, some, rules.t_factor, t_us) &&
                    places(x, row, some, static_cast<uint32_t>(rules.width), xs) &&
                    places(y, row, some, static_cast<uint32_t>(rules.height), ys) && polarities(p, row, some, ps);
        if (good && rules.first && row == 0) last_us = t_us[0];
        uint32_t leaps = 0;
        uint8_t* at = block;
        for (size_t i = 0; good && i < some; ++i) {
            const auto step = static_cast<uint64_t>(t_us[i]) - static_cast<uint64_t>(last_us);
            leaps |= static_cast<uint32_t>(step > static_cast<uint64_t>(rules.ahead_us));
            last_us = t_us[i];
            at = EventBlock::put(at, last_us, xs[i], ys[i], ps[i]);
        }
        if (!good || leaps != 0) {
            out.resize(before);
            return false;
        }
        const auto* events = reinterpret_cast<const Event*>(block);
        out.insert(out.end(), events, events + some);
    }
    return true;
}

}  // namespace edgesnn::events
