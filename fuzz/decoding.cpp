#include "decoding.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/state_io.hpp"
#include "must.hpp"

namespace edgesnn::fuzz {
namespace {

using events::Decoder;

template <typename T>
bool same_records(const std::vector<T>& one, const std::vector<T>& other, size_t count) {
    return count == 0 || std::memcmp(one.data(), other.data(), count * sizeof(T)) == 0;
}

bool same_status(const Status& one, const Status& other) {
    return one.kind == other.kind && one.offset == other.offset && one.what == other.what;
}

bool same_states(const StateTensors& one, const StateTensors& other) {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(), [](const auto& a, const auto& b) {
        return a.first == b.first && a.second.shape == b.second.shape && a.second.bytes == b.second.bytes;
    });
}

std::unique_ptr<Decoder> reloaded(const Decoder& decoder, const std::string& name,
                                  const events::DecoderOptions& options) {
    StateWriter writer("decoder");
    decoder.save(writer);
    auto other = events::make_decoder(name, options);
    other->load(StateReader(writer.tensors(), "decoder"));
    StateWriter again("decoder");
    other->save(again);
    must(same_states(writer.tensors(), again.tensors()), "load is not the inverse of save");
    return other;
}

}  // namespace

bool Decoded::damaged() const noexcept {
    return counters.bad_words + counters.out_of_range + counters.truncated_bytes != 0;
}

Decoded decode(const std::string& name, const events::DecoderOptions& options, Span<const uint8_t> bytes,
               const Split& split) {
    auto decoder = events::make_decoder(name, options);
    Decoded out;
    Stream sizes(split.seed);
    size_t pieces = 0;
    for (size_t at = 0; at < bytes.size && out.status.ok(); ++pieces) {
        const size_t most = bytes.size - at;
        const size_t size =
            split.longest == 0 ? most : std::min(most, static_cast<size_t>(sizes.from(0, split.longest)));
        const std::vector<uint8_t> piece(bytes.data + at, bytes.data + at + size);
        const int64_t before_us = decoder->t_end_us();
        out.status = decoder->feed({piece.data(), piece.size()}, out.events);
        must(decoder->t_end_us() >= before_us, "the time reached falls");
        at += size;
        if (split.reload != 0 && pieces + 1 == split.reload && out.status.ok())
            decoder = reloaded(*decoder, name, options);
    }
    if (out.status.ok()) out.status = decoder->finish(out.events);
    decoder->take_triggers(out.triggers);
    out.t_end_us = decoder->t_end_us();
    out.counters = decoder->counters();
    return out;
}

void must_equal(const Decoded& one, const Decoded& other, const char* what) {
    const bool same = one.events.size() == other.events.size() && one.triggers.size() == other.triggers.size() &&
                      same_records(one.events, other.events, one.events.size()) &&
                      same_records(one.triggers, other.triggers, one.triggers.size()) &&
                      one.t_end_us == other.t_end_us && same_status(one.status, other.status) &&
                      std::memcmp(&one.counters, &other.counters, sizeof(one.counters)) == 0;
    must(same, what);
}

void must_be_sane(const Decoded& out, const events::DecoderOptions& options) {
    int64_t backward = 0;
    int64_t last_us = events::kNoTime;
    for (const Event& event : out.events) {
        must(event.p <= 1, "a polarity is neither 0 nor 1");
        must(options.width == 0 || (event.x < options.width && event.y < options.height), "an event is outside");
        must(event.t >= -events::kMaxUs && event.t <= out.t_end_us, "an event's time was not reached");
        backward += event.t < last_us ? 1 : 0;
        last_us = event.t;
    }
    must(backward == out.counters.time_backward, "steps back in time are not those counted");
    const events::Counters& c = out.counters;
    must(std::min(
             {c.bad_words, c.out_of_range, c.unplaced_events, c.time_resyncs, c.truncated_bytes, c.lost_packets}) >= 0,
         "a counter is below zero");
    must(out.status.ok() || out.status.kind == ErrorKind::recording, "damage is another kind of error");
}

void must_be_strict(const Decoded& strict, const Decoded& skip) {
    must(skip.status.ok(), "skip raises");
    must(strict.status.ok() != skip.damaged(), "strict raises where nothing is damaged, or not where something is");
    must(strict.events.size() <= skip.events.size() && same_records(strict.events, skip.events, strict.events.size()),
         "before the damage strict gives other events than skip");
    if (strict.status.ok()) {
        must(strict.events.size() == skip.events.size(), "undamaged bytes give other events to strict than to skip");
        must(strict.t_end_us == skip.t_end_us, "undamaged bytes reach another time in strict than in skip");
    }
}

}  // namespace edgesnn::fuzz
