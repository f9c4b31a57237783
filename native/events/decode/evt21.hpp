// Prophesee EVT 2.1: words of 64 bits, an EVT 2.0 word above a mask of the 32 columns from its x on. docs/formats.md,
// "EVT2.1".
#pragma once

#include "events/decode/word_decoder.hpp"

namespace edgesnn::events {

class Evt21Decoder final : public WordDecoder {
  public:
    explicit Evt21Decoder(DecoderOptions options);

  private:
    Status decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) override;
    void save_words(StateWriter&) const override {}  // a word leans on nothing but the clock
    void load_words(const StateReader&) override {}
    template <bool kHeadFirst>
    EventBlock::Cursor put_fours(const uint8_t* data, size_t count, EventBlock::Cursor at,
                                 const uint8_t* full) const noexcept;
    Status other_word(uint32_t head, uint32_t mask, size_t index, EventBlock& block, EventBlock::Cursor& at,
                      std::vector<Event>& out);
    // The rare vectors: before the first TIME_HIGH, or (partly) outside the sensor.
    Status edge_vector(size_t index, uint32_t head, uint32_t mask, int64_t t_us, EventBlock::Cursor& at);

    size_t head_at_;  // byte of a word where its upper half lies: 4, or 0 where the halves are swapped
};

}  // namespace edgesnn::events
