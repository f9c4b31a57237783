#include "events/decode/spif.hpp"

#include "events/decode/flatbuffer.hpp"

namespace edgesnn::events {
namespace {

constexpr size_t kWord = 4;
constexpr uint32_t kField = 0x7FFF;
constexpr uint32_t kTimeless = uint32_t{1} << 31;
constexpr int64_t kMostUs = int64_t{1} << 59;

}  // namespace

SpifDecoder::SpifDecoder(int32_t width, int32_t height) noexcept
    : width_(width > 0 ? static_cast<uint32_t>(width) : kField + 1),
      height_(height > 0 ? static_cast<uint32_t>(height) : kField + 1) {}

void SpifDecoder::feed(Span<const uint8_t> datagram, int64_t now_us, std::vector<Event>& out) {
    const uint8_t* at = datagram.data;
    const uint8_t* end = at + datagram.size;
    while (end - at >= static_cast<ptrdiff_t>(kWord)) {
        const auto word = load_le<uint32_t>(at);
        int64_t t_us = now_us;
        if ((word & kTimeless) != 0) {
            at += kWord;
        } else if (end - at >= static_cast<ptrdiff_t>(2 * kWord)) {
            t_us = turned(load_le<uint32_t>(at + kWord));
            at += 2 * kWord;
        } else {
            break;
        }
        const uint32_t x = word >> 16 & kField;
        const uint32_t y = word & kField;
        if (x < width_ && y < height_)
            out.push_back(
                {t_us, static_cast<uint16_t>(x), static_cast<uint16_t>(y), static_cast<uint8_t>(word >> 15 & 1)});
        else
            ++counters_.out_of_range;
    }
    counters_.truncated_bytes += end - at;
}

int64_t SpifDecoder::turned(uint32_t low) noexcept {
    if (t_us_ < 0 || t_us_ >= kMostUs) return t_us_ = low;
    const int64_t next_us = t_us_ + static_cast<int32_t>(low - static_cast<uint32_t>(t_us_));
    t_us_ = next_us < 0 ? int64_t{low} : next_us;
    return t_us_;
}

}  // namespace edgesnn::events
