// point_code: a window's random bits ("rate") or values ("direct"); docs/arithmetic.md, sections 8 and 9. The readable
// form is edgesnn/encode/coding.py. Elements are numbered members [G, K, F] first, then centroids [G, 3].
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

constexpr float kGrid = 16384.0F;
constexpr size_t kRowsAtOnce = 128;
constexpr size_t kMostDrawn = kRowsAtOnce * 7 + 128;  // elements, with what is drawn before and beyond

struct Prepared final : Scratch {
    // Per element: its probability in 1/65536 (rate) as a limit of 16 bits and, for one of 1, a bit that is always set;
    // or its value (direct).
    std::vector<uint16_t> limits;
    std::vector<uint64_t> always;
    std::vector<float> values;
    int64_t window = 0;
};

struct Limits16 {
    uint16_t* limits;
    uint64_t* always;
    size_t element = 0;

    void put(uint32_t probability) noexcept {
        limits[element] = static_cast<uint16_t>(std::min(probability, 65535U));
        always[element / 64] |= uint64_t{probability >> 16} << (element % 64);
        ++element;
    }
};

struct Values {
    float* next;

    void put(float value) noexcept { *next++ = value; }
};

class PointCode final : public Op {
  public:
    explicit PointCode(const NodeView& view) : seed_(view.input.seed) {
        view.expect(1, 2);
        const ValueType& window = view.inputs[0];
        if (window.kind != Kind::window) view.fail("input is not a window of points", describe(window), "window");
        rate_ = view.text("coding", {"rate", "direct"}) == "rate";
        signed_ = view.text("features", {"unsigned", "signed"}) == "signed";
        polarity_ = view.flag("polarity");
        if (rate_ && signed_) view.fail("a rate has no sign", "features 'signed'", "'unsigned' with coding 'rate'");
        width_ = polarity_ ? 7 : 6;
        const int64_t groups = window.shape[0], neighbours = window.shape[1];
        const Kind kind = rate_ ? Kind::integer : Kind::real;
        outputs = {{kind, {groups, neighbours, static_cast<int64_t>(width_)}, rate_ ? 1 : 0},
                   {kind, {groups, 3}, rate_ ? 1 : 0}};
        members_ = static_cast<size_t>(groups * neighbours) * width_;
        elements_ = members_ + static_cast<size_t>(groups) * 3;
    }

    bool steady() const noexcept override { return !rate_; }

    std::unique_ptr<Scratch> scratch() const override {
        auto prepared = std::make_unique<Prepared>();
        if (rate_) {
            prepared->limits.resize(elements_ + kMostDrawn);  // and what is drawn beyond
            prepared->always.resize((elements_ + kMostDrawn) / 64);
        } else {
            prepared->values.resize(elements_);
        }
        return prepared;
    }

    size_t scratch_bytes() const noexcept override { return elements_ * sizeof(float); }
    bool shares_scratch() const noexcept override { return true; }
    bool makes_bits() const noexcept override { return rate_; }

    void prepare(const encode::PointWindow& window, Scratch& scratch) const noexcept override {
        auto& prepared = static_cast<Prepared&>(scratch);
        prepared.window = window.number;
        if (rate_) {
            std::fill(prepared.always.begin(), prepared.always.end(), uint64_t{0});
            fill(
                window, Limits16{prepared.limits.data(), prepared.always.data()},
                [](int32_t d, double sd) { return probability(d, sd); },
                [](int32_t x) { return static_cast<uint32_t>(4 * x); },
                [](int32_t p) { return static_cast<uint32_t>(65536 * p); });
        } else {
            fill(
                window, Values{prepared.values.data()}, [this](int32_t d, double sd) { return ratio(d, sd); },
                [](int32_t x) { return static_cast<float>(x) / kGrid; },
                [](int32_t p) { return static_cast<float>(p); });
        }
    }

    void run(const OpCall& call) const noexcept override {
        const size_t width = call.output_index == 0 ? width_ : 3;
        const size_t first = (call.output_index == 0 ? 0 : members_) + call.first_row * width;
        const auto& prepared = *static_cast<const Prepared*>(call.scratch);
        if (rate_)
            draw(prepared, first, width, call);
        else
            copy(prepared.values.data() + first, width, call.rows, static_cast<float*>(call.output));
    }

  private:
    // min(65536, floor(|d| * 65536 / sd)) in float64; 0 where sd is 0. A conversion cuts what is not negative to its
    // floor.
    static uint32_t probability(int32_t d, double sd) noexcept {
        if (!(sd > 0)) return 0;
        return static_cast<uint32_t>(std::min(65536.0, std::abs(static_cast<double>(d)) * 65536.0 / sd));
    }

    float ratio(int32_t d, double sd) const noexcept {
        if (!(sd > 0)) return 0.0F;
        return static_cast<float>(static_cast<double>(signed_ ? d : std::abs(d)) / sd);
    }

    // Puts all elements: differences, the group's minimum of each coordinate, the polarity; then the centroids.
    template <typename Out, typename Difference, typename Coordinate, typename Polarity>
    void fill(const encode::PointWindow& window, Out out, Difference difference, Coordinate coordinate,
              Polarity polarity) const noexcept {
        const int32_t* points = window.coordinates.data();
        const size_t neighbours = static_cast<size_t>(window.neighbours);
        for (size_t g = 0; g < static_cast<size_t>(window.groups); ++g) {
            const int32_t* centre = points + 4 * window.centroids[g];
            const int32_t* members = window.members.data() + g * neighbours;
            std::array<int32_t, 3> lowest{INT32_MAX, INT32_MAX, INT32_MAX};
            for (size_t k = 0; k < neighbours; ++k)
                for (size_t i = 0; i < 3; ++i)
                    lowest[i] = std::min(lowest[i], points[4 * members[k] + static_cast<int>(i)]);
            for (size_t k = 0; k < neighbours; ++k) {
                const int32_t* point = points + 4 * members[k];
                for (size_t i = 0; i < 3; ++i) out.put(difference(point[i] - centre[i], window.sd));
                for (size_t i = 0; i < 3; ++i) out.put(coordinate(lowest[i]));
                if (polarity_) out.put(polarity(point[3]));
            }
        }
        for (const int32_t centre : window.centroids)
            for (int i = 0; i < 3; ++i) out.put(coordinate(points[4 * centre + i]));
    }

    // Bit of element e: r16(e) < probability(e). Rows of bits, or of bytes with zeros after them.
    void draw(const Prepared& prepared, size_t first, size_t width, const OpCall& call) const noexcept {
        const kernels::Table& table = kernels::table();
        uint64_t drawn[kMostDrawn / 64], rows[kRowsAtOnce];
        for (size_t row = 0; row < call.rows; row += kRowsAtOnce) {
            const size_t count = std::min(kRowsAtOnce, call.rows - row);
            const size_t begin = first + row * width, base = begin / 64 * 64;
            draw_elements(prepared, base, begin + count * width, call.step, drawn);
            uint64_t* out = call.output_bits ? static_cast<uint64_t*>(call.output) + row : rows;
            cut_rows(drawn, begin - base, width, count, out);
            if (!call.output_bits)
                table.unpack_bits(rows, count, kLanes, static_cast<uint8_t*>(call.output) + row * kLanes);
        }
    }

    // Elements from `base`, a multiple of 64, at least to `end`; a word beyond them may be read.
    void draw_elements(const Prepared& prepared, size_t base, size_t end, int64_t step,
                       uint64_t* drawn) const noexcept {
        const kernels::Table& table = kernels::table();
        uint16_t random[kMostDrawn];
        table.random16(seed_, base / 8, (end + 7) / 8, static_cast<uint32_t>(step),
                       static_cast<uint64_t>(prepared.window), random);
        const size_t words = (end - base + 63) / 64;
        table.less_bits(random, prepared.limits.data() + base, 64 * words, drawn);
        for (size_t i = 0; i < words; ++i) drawn[i] |= prepared.always[base / 64 + i];
        drawn[words] = 0;
    }

    // Bits [at + r * width, at + (r + 1) * width) to word r.
    static void cut_rows(const uint64_t* bits, size_t at, size_t width, size_t rows, uint64_t* out) noexcept {
        const uint64_t inside = (uint64_t{1} << width) - 1;
        for (size_t row = 0; row < rows; ++row, at += width) {
            const uint64_t* word = bits + at / 64;
            const size_t shift = at % 64;
            out[row] = (word[0] >> shift | word[1] << 1 << (63 - shift)) & inside;
        }
    }

    static void copy(const float* values, size_t width, size_t rows, float* out) noexcept {
        std::memset(out, 0, rows * kLanes * sizeof(float));
        for (size_t row = 0; row < rows; ++row, values += width, out += kLanes)
            std::memcpy(out, values, width * sizeof(float));
    }

    uint64_t seed_;
    bool rate_, signed_, polarity_;
    size_t width_, members_, elements_;
};

}  // namespace

std::unique_ptr<Op> make_point_code(const NodeView& view) {
    return std::make_unique<PointCode>(view);
}

}  // namespace edgesnn::executor
