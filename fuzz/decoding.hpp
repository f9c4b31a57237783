// A decoder run over bytes in pieces, and what must hold of what it gives.
#pragma once

#include <string>
#include <vector>

#include "bytes.hpp"
#include "events/decode/decoder.hpp"

namespace edgesnn::fuzz {

struct Decoded {
    std::vector<Event> events;
    std::vector<Trigger> triggers;
    int64_t t_end_us = events::kNoTime;
    events::Counters counters;
    Status status;

    // Damage that strict raises for.
    bool damaged() const noexcept;
};

// How bytes are split, and where the decoder is left for another that loads what it saved.
struct Split {
    uint64_t seed = 0;
    int64_t longest = 0;  // piece; 0: all at once
    size_t reload = 0;    // after so many pieces, 0: never
};

// Feeds all of `bytes`, in pieces on the heap so that reading beyond one is seen.
Decoded decode(const std::string& name, const events::DecoderOptions& options, Span<const uint8_t> bytes,
               const Split& split);

// Ends the process where the two are not the same.
void must_equal(const Decoded& one, const Decoded& other, const char* what);
// Ends the process where an event or a counter is none that a decoder may give.
void must_be_sane(const Decoded& out, const events::DecoderOptions& options);
// The same of a strict decoder beside a skipping one.
void must_be_strict(const Decoded& strict, const Decoded& skip);

}  // namespace edgesnn::fuzz
