// Prophesee EVT 3.0: 16-bit little-endian words, the upper four bits say the type. docs/formats.md, "EVT3".
#pragma once

#include "events/decode/word_decoder.hpp"

namespace edgesnn::events {

class Evt3Decoder final : public WordDecoder {
  public:
    explicit Evt3Decoder(DecoderOptions options);

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

    // The rare ends of single and vector events: nothing known yet, or (partly) outside the sensor. Cursor and context
    // go by value: a loop keeps in registers only what has no address.
    EventBlock::Cursor event(size_t index, Context context, uint32_t payload, int64_t t_us, EventBlock::Cursor at,
                             Status& status);
    EventBlock::Cursor edge_vector(size_t index, Context context, uint32_t mask, int64_t t_us, EventBlock::Cursor at,
                                   Status& status);

    Context context_;
};

}  // namespace edgesnn::events
