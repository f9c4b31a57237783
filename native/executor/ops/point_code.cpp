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
constexpr size_t kRowsAtOnce = 32;

struct Prepared final : Scratch {
    // Per element: its probability in 1/65536 (rate), or its value (direct).
    std::vector<uint32_t> probabilities;
    std::vector<float> values;
    int64_t window = 0;
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
            prepared->probabilities.resize(elements_ + 8);  // and what a row reads beyond
        } else {
            prepared->values.resize(elements_);
        }
        return prepared;
    }

    bool shares_scratch() const noexcept override { return true; }

    void prepare(const encode::PointWindow& window, Scratch& scratch) const noexcept override {
        auto& prepared = static_cast<Prepared&>(scratch);
        prepared.window = window.number;
        if (rate_)
            fill(
                window, prepared.probabilities.data(), [](int32_t d, double sd) { return probability(d, sd); },
                [](int32_t x) { return static_cast<uint32_t>(4 * x); },
                [](int32_t p) { return static_cast<uint32_t>(65536 * p); });
        else
            fill(
                window, prepared.values.data(), [this](int32_t d, double sd) { return ratio(d, sd); },
                [](int32_t x) { return static_cast<float>(x) / kGrid; },
                [](int32_t p) { return static_cast<float>(p); });
    }

    void run(const OpCall& call) const noexcept override {
        const size_t width = call.output_index == 0 ? width_ : 3;
        const size_t first = (call.output_index == 0 ? 0 : members_) + call.first_row * width;
        const auto& prepared = *static_cast<const Prepared*>(call.scratch);
        if (rate_)
            draw(prepared, first, width, call.rows, call.step, static_cast<uint8_t*>(call.output));
        else
            copy(prepared.values.data() + first, width, call.rows, static_cast<float*>(call.output));
    }

  private:
    // min(65536, floor(|d| * 65536 / sd)) in float64; 0 where sd is 0.
    static uint32_t probability(int32_t d, double sd) noexcept {
        if (!(sd > 0)) return 0;
        return static_cast<uint32_t>(std::min(65536.0, std::floor(std::abs(static_cast<double>(d)) * 65536.0 / sd)));
    }

    float ratio(int32_t d, double sd) const noexcept {
        if (!(sd > 0)) return 0.0F;
        return static_cast<float>(static_cast<double>(signed_ ? d : std::abs(d)) / sd);
    }

    // Writes all elements: differences, the group's minimum of each coordinate, the polarity; then the centroids.
    template <typename T, typename Difference, typename Coordinate, typename Polarity>
    void fill(const encode::PointWindow& window, T* out, Difference difference, Coordinate coordinate,
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
                for (size_t i = 0; i < 3; ++i) *out++ = difference(point[i] - centre[i], window.sd);
                for (size_t i = 0; i < 3; ++i) *out++ = coordinate(lowest[i]);
                if (polarity_) *out++ = polarity(point[3]);
            }
        }
        for (const int32_t centre : window.centroids)
            for (int i = 0; i < 3; ++i) *out++ = coordinate(points[4 * centre + i]);
    }

    // Bit of element e: r16(e) < probability(e).
    void draw(const Prepared& prepared, size_t first, size_t width, size_t rows, int64_t step,
              uint8_t* out) const noexcept {
        const uint64_t inside = (uint64_t{1} << (8 * width)) - 1;  // the bytes of a row
        uint16_t drawn[kRowsAtOnce * 8 + 128];                     // and what random16 writes beyond
        for (size_t row = 0; row < rows; row += kRowsAtOnce) {
            const size_t count = std::min(kRowsAtOnce, rows - row);
            const size_t begin = first + row * width;
            kernels::table().random16(seed_, begin / 8, (begin + count * width + 7) / 8, static_cast<uint32_t>(step),
                                      static_cast<uint64_t>(prepared.window), drawn);
            const uint16_t* random = drawn + begin % 8;
            const uint32_t* limit = prepared.probabilities.data() + begin;
            for (size_t r = 0; r < count; ++r, out += kLanes, random += width, limit += width)
                fire(random, limit, inside, out);
        }
    }

    // Eight elements, those of the row and what lies beyond; a row of bytes with zeros after it.
    static void fire(const uint16_t* random, const uint32_t* limit, uint64_t inside, uint8_t* out) noexcept {
        uint16_t drawn[8];
        int32_t limits[8];
        uint8_t fired[8];
        std::memcpy(drawn, random, sizeof(drawn));
        std::memcpy(limits, limit, sizeof(limits));
        for (size_t i = 0; i < 8; ++i) fired[i] = drawn[i] < limits[i] ? 1 : 0;
        uint64_t row[2] = {0, 0};
        std::memcpy(row, fired, sizeof(fired));
        row[0] &= inside;
        std::memcpy(out, row, sizeof(row));
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
