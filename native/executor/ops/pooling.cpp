// Pools: sum, mean or largest of a kernel's places, channel by channel; the output lies as the input does.
// Contributions in ascending (y, x), padding counts as zeros for sum and mean and is left out by max.
#include "executor/ops/pooling.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "executor/ops/convolution.hpp"

namespace edgesnn::executor {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(16)));

enum class Mode { sum, avg, max };

class Pooling final : public Op {
  public:
    Pooling(const NodeView& view, size_t axes) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        const bool two = axes == 2;
        if (x.shape.size() != 1 + axes || (x.kind != Kind::integer && x.kind != Kind::real))
            view.fail("input cannot be pooled", describe(x));
        const std::string mode = view.text("mode", {"sum", "avg", "max"});
        mode_ = mode == "sum" ? Mode::sum : mode == "avg" ? Mode::avg : Mode::max;
        const auto kernel = view.pair("kernel", 1, 4096, two), stride = view.pair("stride", 1, 4096, two);
        const auto padding = view.pair("padding", 0, 4096, two);
        x_ = {x.shape.back(), kernel.second, stride.second, padding.second, 1};
        y_ = two ? Axis{x.shape[1], kernel.first, stride.first, padding.first, 1} : Axis{1, 1, 1, 0, 1};
        check_axis(view, x_);
        check_axis(view, y_);
        if (x_.padding >= x_.kernel || (two && y_.padding >= y_.kernel))
            view.fail("attribute 'padding' is wrong", "", "less than the kernel");
        covered_y_ = covered(y_), covered_x_ = covered(x_);
        input_ = x;
        const int64_t area = x_.kernel * y_.kernel;
        inverse_ = static_cast<float>(1.0 / static_cast<double>(area));
        Shape shape = two ? Shape{x.shape[0], y_.places(), x_.places()} : Shape{x.shape[0], x_.places()};
        if (mode_ != Mode::max && x.bound * area > INT32_MAX) view.fail("sums may not fit 32 bits", describe(x));
        const Kind kind = x.kind == Kind::real || mode_ == Mode::avg   ? Kind::real
                          : mode_ == Mode::sum && x.bound * area > 255 ? Kind::wide
                                                                       : Kind::integer;
        const int64_t bound = kind == Kind::real ? 0 : mode_ == Mode::max ? x.bound : x.bound * area;
        outputs = {{kind, shape, bound, x.last}};
    }

    bool rowwise() const noexcept override { return false; }

    void run(const OpCall& call) const noexcept override {
        const ValueType& type = outputs[0];
        if (!input_.last) std::memset(call.output, 0, type.rows() * type.stride() * type.item_size());
        if (input_.kind == Kind::real)
            pool<float, float>(static_cast<const float*>(call.inputs[0]), static_cast<float*>(call.output));
        else if (type.kind == Kind::integer && mode_ == Mode::sum && input_.bound == 1 && !input_.last)
            scatter(static_cast<const uint8_t*>(call.inputs[0]), static_cast<uint8_t*>(call.output));
        else if (type.kind == Kind::integer)
            pool<uint8_t, uint8_t>(static_cast<const uint8_t*>(call.inputs[0]), static_cast<uint8_t*>(call.output));
        else if (type.kind == Kind::wide)
            pool<uint8_t, int32_t>(static_cast<const uint8_t*>(call.inputs[0]), static_cast<int32_t*>(call.output));
        else
            pool<uint8_t, float>(static_cast<const uint8_t*>(call.inputs[0]), static_cast<float*>(call.output));
    }

  private:
    // Where (channel, y, x) of a value lies.
    static size_t at(const ValueType& type, size_t channel, size_t y, size_t x, size_t height, size_t width) noexcept {
        return type.last ? (y * width + x) * type.stride() + channel : (channel * height + y) * type.stride() + x;
    }

    template <typename In, typename Out>
    void pool(const In* x, Out* out) const noexcept {
        if (input_.last) return pool_places(x, out);
        const auto channels = static_cast<size_t>(input_.shape[0]);
        const auto height = static_cast<size_t>(y_.places()), width = static_cast<size_t>(x_.places());
        for (size_t c = 0; c < channels; ++c)
            for (size_t oy = 0; oy < height; ++oy)
                for (size_t ox = 0; ox < width; ++ox)
                    out[at(outputs[0], c, oy, ox, height, width)] = one<In, Out>(x, c, oy, ox);
    }

    // Inputs of an axis that an output covers.
    struct Range {
        size_t begin, end;
    };

    static std::vector<Range> covered(const Axis& axis) {
        std::vector<Range> ranges;
        for (int64_t place = 0; place < axis.places(); ++place) {
            const int64_t first = place * axis.stride - axis.padding;
            ranges.push_back({static_cast<size_t>(std::max<int64_t>(first, 0)),
                              static_cast<size_t>(std::min(first + axis.kernel, axis.size))});
        }
        return ranges;
    }

    // Calls visit(input element that lies at `column` of its row) for every place that the output covers, and whether
    // it is the first.
    template <typename In, typename Visit>
    void each_covered(const In* x, const Range& rows, const Range& columns, Visit visit) const noexcept {
        const size_t stride = input_.stride(), width = static_cast<size_t>(x_.size);
        for (size_t y = rows.begin; y < rows.end; ++y)
            for (size_t i = columns.begin; i < columns.end; ++i)
                visit(x + (y * width + i) * stride, y == rows.begin && i == columns.begin);
    }

    // Sixteen channels of a place at once.
    template <typename In, typename Out>
    void pool_places(const In* x, Out* out) const noexcept {
        const size_t stride = outputs[0].stride();
        for (const Range& rows : covered_y_)
            for (const Range& columns : covered_x_)
                for (size_t c = 0; c < stride; c += kLanes, out += kLanes) join(x + c, rows, columns, out);
    }

    void join(const uint8_t* x, const Range& rows, const Range& columns, uint8_t* out) const noexcept {
        Bytes joined = {};  // which no byte is below
        each_covered(x, rows, columns, [&](const uint8_t* at, bool) {
            Bytes bytes;
            std::memcpy(&bytes, at, sizeof(bytes));
            joined = mode_ == Mode::max ? (bytes > joined ? bytes : joined) : joined + bytes;
        });
        std::memcpy(out, &joined, sizeof(joined));
    }

    template <typename In, typename Out>
    void join(const In* x, const Range& rows, const Range& columns, Out* out) const noexcept {
        Out joined[kLanes] = {};
        each_covered(x, rows, columns, [&](const In* at, bool first) {
            for (size_t c = 0; c < kLanes; ++c) {
                const auto value = static_cast<Out>(at[c]);
                if (mode_ == Mode::max)
                    joined[c] = !first && joined[c] > value ? joined[c] : value;
                else
                    joined[c] = static_cast<Out>(joined[c] + value);
            }
        });
        if constexpr (std::is_same_v<Out, float>)
            if (mode_ == Mode::avg)
                for (float& value : joined) value = value * inverse_;
        std::memcpy(out, joined, sizeof(joined));
    }

    template <typename In, typename Out>
    Out one(const In* x, size_t channel, size_t oy, size_t ox) const noexcept {
        const auto height = static_cast<size_t>(y_.size), width = static_cast<size_t>(x_.size);
        const Range rows = covered_y_[oy], columns = covered_x_[ox];
        Out sum = 0;
        bool first = true;
        for (size_t y = rows.begin; y < rows.end; ++y)
            for (size_t i = columns.begin; i < columns.end; ++i) {
                const auto value = static_cast<Out>(x[at(input_, channel, y, i, height, width)]);
                if (mode_ == Mode::max)
                    sum = !first && sum > value ? sum : value;
                else
                    sum = static_cast<Out>(sum + value);
                first = false;
            }
        if constexpr (std::is_same_v<Out, float>)
            if (mode_ == Mode::avg) sum = sum * inverse_;
        return sum;
    }

    // Sums of plain rows of few spikes: each spike adds one to the places that it reaches.
    void scatter(const uint8_t* x, uint8_t* out) const noexcept {
        const auto rows = input_.rows();
        const size_t columns = input_.columns(), stride = input_.stride();
        for (size_t row = 0; row < rows; ++row, x += stride)
            for (size_t block = 0; block < columns; block += 8) {
                uint64_t word;
                std::memcpy(&word, x + block, sizeof(word));
                if (word == 0) continue;
                for (size_t column = block; column < std::min(block + 8, columns); ++column)
                    if (x[column] != 0) spread(row, column, x[column], out);
            }
    }

    void spread(size_t row, size_t column, uint8_t value, uint8_t* out) const noexcept {
        const auto height = static_cast<size_t>(y_.size);
        const size_t channel = row / height;
        const auto [y_begin, y_end] = reached(y_, static_cast<int64_t>(row % height));
        const auto [x_begin, x_end] = reached(x_, static_cast<int64_t>(column));
        for (int64_t oy = y_begin; oy < y_end; ++oy)
            for (int64_t ox = x_begin; ox < x_end; ++ox) {
                uint8_t& sum = out[at(outputs[0], channel, static_cast<size_t>(oy), static_cast<size_t>(ox),
                                      static_cast<size_t>(y_.places()), static_cast<size_t>(x_.places()))];
                sum = static_cast<uint8_t>(sum + value);
            }
    }

    // Outputs [begin, end) of an axis whose kernel covers a place.
    static std::pair<int64_t, int64_t> reached(const Axis& axis, int64_t place) noexcept {
        const int64_t first = place + axis.padding - axis.kernel + 1;
        const int64_t begin = first <= 0 ? 0 : (first + axis.stride - 1) / axis.stride;
        return {begin, std::min((place + axis.padding) / axis.stride + 1, axis.places())};
    }

    Mode mode_;
    Axis x_{}, y_{};
    std::vector<Range> covered_y_, covered_x_;
    ValueType input_;
    float inverse_ = 1.0F;
};

}  // namespace

std::unique_ptr<Op> make_pooling(const NodeView& view, size_t axes) {
    return std::make_unique<Pooling>(view, axes);
}

}  // namespace edgesnn::executor
