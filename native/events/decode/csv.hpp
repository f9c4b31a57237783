// CSV and TXT: one event a line, columns of numbers. docs/formats.md, "CSV and TXT".
#pragma once

#include <string>

#include "events/decode/csv_columns.hpp"
#include "events/decode/decoder.hpp"

namespace edgesnn::events {

class CsvDecoder final : public Decoder {
  public:
    explicit CsvDecoder(DecoderOptions options);

  private:
    static constexpr size_t kMostBytes = 4096;  // of a line, without its end

    Status decode(Span<const uint8_t> bytes, std::vector<Event>& out) override;
    Status settle(std::vector<Event>& out) override;
    void save_format(StateWriter& writer) const override;
    void load_format(const StateReader& reader) override;

    Status end_carried(const char*& at, const char* end, std::vector<Event>& out);
    Status carry(const char* at, const char* end);
    const char* plain_lines(const char* begin, const char* at, const char* end, std::vector<Event>& out);
    template <bool kTimeLast, bool kSeconds>
    const uint8_t* run_signed(const uint8_t* at, const uint8_t* stop, std::vector<Event>& out);
    template <bool kTimeLast, bool kSeconds, bool kMinus>
    const uint8_t* run(const uint8_t* at, const uint8_t* stop, std::vector<Event>& out);
    Status line(const char* begin, const char* end, int64_t position, std::vector<Event>& out);
    Status take(const CsvRecord& record, int64_t position, std::vector<Event>& out);
    Status judge_held(int64_t next_t_us, std::vector<Event>& out);
    Status place(const CsvRecord& record, int64_t number, int64_t position, std::vector<Event>& out);
    Status bad_line(int64_t number, int64_t position, const char* problem, std::string found = {});
    bool may_be_cut(const CsvRecord& record) const noexcept;

    CsvColumns columns_;
    bool time_first_;
    bool time_last_;
    uint8_t separator_ = ',';  // of the lines that are read quickly, and whether polarities are -1 and 1:
    bool minus_ = false;       // guesses, which change no result
    int64_t lines_ = 0;        // seen so far
    int64_t position_ = 0;     // of carry_'s first byte
    std::string carry_;        // the beginning of a line
    bool long_ = false;        // inside a line that was refused for its length
    int64_t last_raw_us_ = kNoTime;
    CsvRecord held_{};          // an event far ahead of the clock, until the next one confirms it
    int64_t held_number_ = -1;  // its line, -1: none
    int64_t held_position_ = 0;
};

}  // namespace edgesnn::events
