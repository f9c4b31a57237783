// Prophesee EVT 3.0: 16-bit little-endian words, the upper four bits say the type. docs/formats.md, "EVT3".
#pragma once

#include "events/decode/word_decoder.hpp"

namespace edgesnn::events {

class Evt3Decoder final : public WordDecoder {
  public:
    explicit Evt3Decoder(DecoderOptions options);
    void lost() noexcept override;

  private:
    // What later words lean on. -1: not seen yet.
    struct Context {
        int32_t y = -1;
        int32_t base_x = -1;
        int32_t base_p = 0;
        int32_t time_low = 0;
    };

    Status decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) override;
    void save_words(StateWriter& writer) const override;
    void load_words(const StateReader& reader) override;

    // What a run of words works on.
    struct Loop {
        EventBlock block;
        EventBlock::Cursor at;
        Context now;
        int64_t base_us;  // the time of low part 0, where it is known
    };
    size_t plain_words(const uint8_t* data, size_t count, Loop& loop);
    Status other_word(uint32_t word, size_t index, Loop& loop, std::vector<Event>& out);
    Status event(size_t index, uint32_t payload, int64_t t_us, Loop& loop);
    Status vector(size_t index, uint32_t mask, int32_t span, int64_t t_us, Loop& loop);

    Context context_;
};

}  // namespace edgesnn::events
