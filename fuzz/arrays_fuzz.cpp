// Windows of events through any array encoder: refused, or every element as a literal reading of docs/encoders.md gives
// it, event by event; an encoder that loads what another saved goes on alike, and one refuses what cannot be.
#include <algorithm>
#include <map>

#include "base/exp32.hpp"
#include "bytes.hpp"
#include "encode/array_encoder.hpp"
#include "events/windows/window_cutter.hpp"
#include "exercise.hpp"
#include "state_departures.hpp"

using namespace edgesnn;
using namespace edgesnn::encode;

namespace {

constexpr int64_t kMostElements = 1 << 12;  // of an array that is encoded
constexpr int64_t kMostMade = 1 << 16;      // of one that is made at all

struct Kind {
    const char* name;
    struct {
        const char* name;
        int64_t low, high;
    } parameters[3];
};
constexpr Kind kKinds[] = {
    {"frames", {{"steps", 1, 12}, {"value", 0, 1}, {"polarity", 0, 1}}},
    {"voxel", {{"bins", 1, 12}, {"time", 0, 1}, {}}},
    {"surface", {{"tau", 1, 200}, {"memory", 0, 1}, {"polarity", 0, 1}}},
    {"points", {{"points", 1, 80}, {"time", 0, 1}, {"seed", 0, 3}}},
};

struct Made {
    std::vector<Event> events;
    ArrayWindow window;
};

// A window of events whose times rise and lie in it.
Made draw_window(fuzz::Bytes& bytes, Sensor sensor, int64_t t0_us) {
    static constexpr int64_t kSpans[] = {100, 0, 1, 7, 1'000'003, int64_t{1} << 33, int64_t{1} << 48, int64_t{1} << 59};
    const size_t choice = bytes.byte();
    const int64_t span_us = kSpans[choice % std::size(kSpans)];
    Made made;
    const bool many = bytes.hostile && choice >= 254;  // of one pixel: more than a count holds
    made.events.resize(many ? 66'000 : bytes.below(24));
    int64_t share = 0;
    for (Event& event : made.events) {
        share = many ? 100 : std::min<int64_t>(256, share + bytes.byte() % 64);
        const size_t place = many ? 2 : bytes.byte();
        const auto t_us = t0_us + static_cast<int64_t>(static_cast<__int128>(span_us) * share / 256);
        event = {t_us, static_cast<uint16_t>(place / 2 % static_cast<size_t>(sensor.width)),
                 static_cast<uint16_t>(place / 7 % static_cast<size_t>(sensor.height)),
                 static_cast<uint8_t>(place & 1)};
    }
    made.window = {{nullptr, 0}, t0_us, t0_us + span_us, choice * uint64_t{1} << 30};
    return made;
}

// What docs/encoders.md says, one event after the other.
class Literal {
  public:
    Literal(const std::string& name, const ArrayParameters& parameters, Sensor sensor)
        : name_(name), parameters_(parameters), sensor_(sensor) {}

    std::vector<uint8_t> encode(const Made& made, int64_t elements) {
        if (name_ == "voxel") return voxel(made, elements);
        if (name_ == "surface") return surface(made, elements);
        return parameters_.at("value") == 0 ? frames<uint16_t>(made, elements, 65535)
                                            : frames<uint8_t>(made, elements, 1);
    }

  private:
    size_t pixel(const Event& event) const { return event.y * static_cast<size_t>(sensor_.width) + event.x; }
    size_t plane() const { return static_cast<size_t>(sensor_.width) * static_cast<size_t>(sensor_.height); }
    size_t channel(const Event& event) const { return parameters_.at("polarity") == 0 ? event.p : 0; }
    template <typename T>
    static std::vector<uint8_t> bytes_of(const std::vector<T>& values) {
        std::vector<uint8_t> bytes(values.size() * sizeof(T));
        if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }

    template <typename Count>
    std::vector<uint8_t> frames(const Made& made, int64_t elements, Count largest) const {
        std::vector<Count> counts(static_cast<size_t>(elements));
        const int64_t steps = parameters_.at("steps");
        const size_t channels = parameters_.at("polarity") == 0 ? 2 : 1;
        const int64_t t0_us = made.window.t0_us, span_us = std::max<int64_t>(1, made.window.t1_us - t0_us);
        for (const Event& event : made.events) {
            const auto step = static_cast<int64_t>(static_cast<__int128>(event.t - t0_us) * steps / span_us);
            const auto place = static_cast<size_t>(std::min(step, steps - 1)) * channels + channel(event);
            Count& count = counts[place * plane() + pixel(event)];
            if (count != largest) ++count;
        }
        return bytes_of(counts);
    }

    std::vector<uint8_t> voxel(const Made& made, int64_t elements) const {
        std::vector<float> grid(static_cast<size_t>(elements));
        if (made.events.empty()) return bytes_of(grid);
        const bool own = parameters_.at("time") == 1;
        const int64_t t0_us = own ? made.events.front().t : made.window.t0_us;
        const int64_t t1_us = own ? made.events.back().t : made.window.t1_us;
        const auto scale =
            static_cast<double>(parameters_.at("bins")) / static_cast<double>(std::max<int64_t>(1, t1_us - t0_us));
        for (const Event& event : made.events) {
            const double u = static_cast<double>(event.t - t0_us) * scale;
            const auto bin = static_cast<size_t>(u);
            const auto share = static_cast<float>(u - static_cast<double>(bin));
            const float parts[] = {1.0f - share, share};
            for (size_t i = 0; i < 2; ++i) {
                const size_t at = (bin + i) * plane() + pixel(event);
                if (at < grid.size()) grid[at] += event.p != 0 ? parts[i] : -parts[i];
            }
        }
        return bytes_of(grid);
    }

    std::vector<uint8_t> surface(const Made& made, int64_t elements) {
        if (parameters_.at("memory") == 1) last_.clear();
        for (const Event& event : made.events) last_[channel(event) * plane() + pixel(event)] = event.t;
        std::vector<float> values(static_cast<size_t>(elements));
        const int64_t tau_us = parameters_.at("tau"), oldest_us = 88 * tau_us;
        int64_t low = 1;
        while (low * low < oldest_us) low *= 2;
        const auto decay = [&](int64_t age_us) {
            return exp32(static_cast<float>(-static_cast<double>(age_us) / static_cast<double>(tau_us)));
        };
        for (const auto& [place, t_us] : last_) {
            const int64_t age_us = std::max<int64_t>(0, made.window.t1_us - t_us);
            if (age_us <= oldest_us) values[place] = decay(age_us - age_us % low) * decay(age_us % low);
        }
        return bytes_of(values);
    }

    std::string name_;
    ArrayParameters parameters_;
    Sensor sensor_;
    std::map<size_t, int64_t> last_;  // event of each place
};

size_t item_size(Element element) {
    return element == Element::u8 ? 1 : element == Element::u16 ? 2 : 4;
}

// An array that was full of one byte before. Empty: the window is longer than points have.
std::vector<uint8_t> encoded(ArrayEncoder& encoder, const Made& made, uint8_t before) {
    std::vector<uint8_t> out(static_cast<size_t>(encoder.elements()) * item_size(encoder.element()), before);
    const std::vector<Event> events = made.events;  // on the heap: reading beyond them is seen
    ArrayWindow window = made.window;
    window.events = {events.data(), events.size()};
    try {
        encoder.encode(window, out.data());
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a window that is too long is another kind of error");
        fuzz::must(window.t1_us - window.t0_us > events::kLengthLimit, "a window is refused");
        out.clear();
    }
    return out;
}

StateTensors saved(const ArrayEncoder& encoder) {
    StateWriter writer("encoder");
    encoder.save(writer);
    return writer.tensors();
}

// Loads departures from what was saved: refused, changing nothing, or taken.
void load_departed(ArrayEncoder& encoder, fuzz::Bytes& bytes) {
    const StateTensors own = saved(encoder), departed = fuzz::depart(own, bytes);
    try {
        encoder.load(StateReader(departed, "encoder"));
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong snapshot is another kind of error");
        fuzz::must(fuzz::same(saved(encoder), own), "a refused snapshot changes the encoder");
    }
}

// Coordinates and polarity of each row, rows in time order.
void must_be_points(const std::vector<uint8_t>& array) {
    std::vector<int32_t> rows(array.size() / sizeof(int32_t));
    if (!rows.empty()) std::memcpy(rows.data(), array.data(), array.size());
    int32_t last = 0;
    for (size_t i = 0; i < rows.size(); i += 4) {
        for (size_t j = 0; j < 3; ++j)
            fuzz::must(rows[i + j] >= 0 && rows[i + j] < 16384, "a coordinate of a point is out of range");
        fuzz::must(rows[i + 3] == 0 || rows[i + 3] == 1, "a polarity of a point is neither 0 nor 1");
        fuzz::must(rows[i + 2] >= last, "points are not in time order");
        last = rows[i + 2];
    }
}

ArrayParameters draw_parameters(fuzz::Bytes& bytes, const Kind& kind) {
    ArrayParameters made;
    for (const auto& one : kind.parameters)
        if (one.name != nullptr) made[one.name] = bytes.odd() ? bytes.number() : bytes.from(one.low, one.high);
    if (bytes.odd()) made.erase(made.begin());
    return made;
}

// Whether the encoder is made quickly and in little memory, or refused before it takes any.
bool is_light(const ArrayParameters& parameters, Sensor sensor) {
    int64_t elements = int64_t{sensor.width} * sensor.height;
    for (const auto& [name, value] : parameters) {
        if (name == "tau" && value > 1 << 20 && value <= int64_t{1} << 32) return false;
        if (name == "points") elements = 4;
        if (name == "tau" || name == "seed" || value <= 1) continue;
        elements = std::min(elements, int64_t{1} << 40) * std::min<int64_t>(value, 1 << 21);
    }
    return elements <= kMostMade || elements > int64_t{1} << 29;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static constexpr Sensor kSensors[] = {{5, 4}, {8, 8}, {1, 1}, {13, 2}, {1, 9}, {65536, 1}, {65536, 65536}, {0, 3}};
    static constexpr int64_t kFirst[] = {0, 1000, -77, -kTimeLimit + 1, int64_t{1} << 58};
    fuzz::Bytes bytes(data, size);
    const uint8_t mode = bytes.byte();
    bytes.hostile = (mode & 7) == 0;
    const Kind& kind = bytes.pick(kKinds);
    const Sensor sensor = kSensors[(mode >> 3) % (bytes.hostile ? 8 : 5)];
    const ArrayParameters parameters = draw_parameters(bytes, kind);
    if (!is_light(parameters, sensor)) return 0;
    std::unique_ptr<ArrayEncoder> encoder;
    try {
        encoder = make_array_encoder(kind.name, parameters, sensor);
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::usage, "a wrong encoder is another kind of error");
        return 0;
    }
    if (encoder->elements() > kMostElements) return 0;
    Literal literal(kind.name, parameters, sensor);
    const bool points = std::string(kind.name) == "points";
    int64_t t0_us = bytes.pick(kFirst);
    Made made;
    std::vector<uint8_t> array;
    for (size_t count = 1 + bytes.below(3); count > 0; --count) {
        made = draw_window(bytes, sensor, t0_us);
        array = encoded(*encoder, made, 0xA5);
        if (points) must_be_points(array);
        fuzz::must(points || array == literal.encode(made, encoder->elements()), "an array is not what it must be");
        t0_us = std::min(t0_us + bytes.byte() * int64_t{16}, int64_t{1} << 59);
    }
    const auto other = make_array_encoder(kind.name, parameters, sensor);
    other->load(StateReader(saved(*encoder), "encoder"));
    fuzz::must(fuzz::same(saved(*other), saved(*encoder)), "load is not the inverse of save");
    fuzz::must(encoded(*encoder, made, 0) == encoded(*other, made, 0xFF),
               "what was saved and loaded goes on otherwise");
    load_departed(*other, bytes);
    encoded(*other, made, 0);
    return 0;
}
