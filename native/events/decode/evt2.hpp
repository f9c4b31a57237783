// Prophesee EVT 2.0: 32-bit little-endian words, the upper four bits say the type. docs/formats.md, "EVT2".
#pragma once

#include "events/decode/word_decoder.hpp"

namespace edgesnn::events {

class Evt2Decoder final : public WordDecoder {
  public:
    explicit Evt2Decoder(DecoderOptions options);

  private:
    Status decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) override;
    void save_words(StateWriter&) const override {}  // a word leans on nothing but the clock
    void load_words(const StateReader&) override {}
    EventBlock::Cursor put_events(const uint8_t* data, size_t count, EventBlock::Cursor at,
                                  const uint8_t* full) const noexcept;
    Status other_word(uint32_t word, size_t index, EventBlock& block, EventBlock::Cursor& at, std::vector<Event>& out);
    Status misplaced_event(size_t index, uint32_t x, uint32_t y);
};

}  // namespace edgesnn::events
