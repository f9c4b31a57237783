// Convolutions by events: every input that is not zero adds the row of its weights to the outputs that it reaches; the
// sums lie in the output's own memory, then become y = acc * scale + bias. docs/arithmetic.md, sections 3 to 5: the
// order of float sums is (channel, y, x). "dense" is the same work over inputs of which few are zero, and the same
// bits.
#include "executor/ops/convolution.hpp"

#include <algorithm>
#include <cstring>

#include "executor/ops/weights.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

constexpr int64_t kMaxPlaces = 1 << 15;  // of an axis: a tap is two 16-bit numbers

struct EventList final : Scratch {
    explicit EventList(size_t inputs, size_t channels) : events(inputs), sorted(inputs), starts(channels + 1) {}
    std::vector<kernels::ConvEvent> events, sorted;
    std::vector<size_t> starts;
};

class Convolution final : public Op {
  public:
    Convolution(const NodeView& view, size_t axes) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.shape.size() != 1 + axes) view.fail("input is not an image or sequence", describe(x));
        input_ = x;
        height_ = axes == 2 ? static_cast<size_t>(x.shape[1]) : 1;
        width_ = static_cast<size_t>(x.shape.back());
        skip_first_ = view.text("cold_start", {"run", "skip"}) == "skip";
        view.text("kernel", {"event", "dense"});
        read_weight(view, axes);
        read_geometry(view, axes);
    }

    bool rowwise() const noexcept override { return false; }
    bool steady() const noexcept override { return !skip_first_; }

    std::unique_ptr<Scratch> scratch() const override {
        return std::make_unique<EventList>(elements(input_.shape), static_cast<size_t>(input_.shape[0]));
    }

    void run(const OpCall& call) const noexcept override {
        const ValueType& type = outputs[0];
        const size_t n = type.rows() * type.stride();
        std::memset(call.output, 0, n * type.item_size());
        if (skip_first_ && call.step == 0) return;
        auto& list = *static_cast<EventList*>(call.scratch);
        const size_t count = find_events(call, list);
        const kernels::ConvEvent* events = list.events.data();
        if (ordered_ && input_.last) events = sort_by_channel(list, count);
        const uint64_t reached = kernel_(conv_, events, count, call.output);
        const auto fan = static_cast<int64_t>(reached) * group_outputs_;
        if (input_.kind == Kind::integer)
            call.counters->synops += fan;
        else
            call.counters->macs += macs_;
        finish(call.output);
    }

  private:
    void read_weight(const NodeView& view, size_t axes) {
        weights_ = Weights(view);
        const TensorSpec& weight = view.tensor("weight");
        const int64_t groups = view.integer("groups", 1, kMaxElements), channels = input_.shape[0];
        if (weight.shape.size() != 2 + axes || channels % groups != 0 || weight.shape[0] % groups != 0 ||
            weight.shape[1] * groups != channels)
            view.fail("tensor '" + weight.name + "' has another shape for these groups");
        const bool floats = weights_.number == Number::f32;
        ordered_ = floats;
        kernel_ = floats                          ? kernels::table().conv_f32
                  : weights_.number == Number::i8 ? kernels::table().conv_i8
                                                  : kernels::table().conv_i4;
        conv_.weights = weights_.data;
        conv_.weight_stride = weights_.stride;
        conv_.kernel_height = axes == 2 ? static_cast<size_t>(weight.shape[2]) : 1;
        conv_.kernel_width = static_cast<size_t>(weight.shape.back());
        conv_.group_inputs = static_cast<size_t>(channels / groups);
        group_outputs_ = weight.shape[0] / groups;  // a single group may take the padding along: it is zero
        conv_.group_outputs =
            groups > 1 ? static_cast<size_t>(group_outputs_) : round_up(static_cast<size_t>(group_outputs_), kLanes);
        conv_.counts = input_.kind == Kind::integer;
    }

    void read_geometry(const NodeView& view, size_t axes) {
        const bool two = axes == 2;
        const auto stride = view.pair("stride", 1, kMaxPlaces, two), padding = view.pair("padding", 0, kMaxPlaces, two);
        const auto dilation = view.pair("dilation", 1, kMaxPlaces, two);
        const Axis x{static_cast<int64_t>(width_), static_cast<int64_t>(conv_.kernel_width), stride.second,
                     padding.second, dilation.second};
        const Axis y = two ? Axis{static_cast<int64_t>(height_), static_cast<int64_t>(conv_.kernel_height),
                                  stride.first, padding.first, dilation.first}
                           : Axis{1, 1, 1, 0, 1};
        check_axis(view, x);
        check_axis(view, y);
        const size_t taps = 1 + std::max(conv_.kernel_height, conv_.kernel_width);
        taps_y_ = taps_of(y, taps);
        taps_x_ = taps_of(x, taps);
        const int64_t channels = view.tensor("weight").shape[0];
        Shape shape = two ? Shape{channels, y.places(), x.places()} : Shape{channels, x.places()};
        outputs = {{weights_.wide ? Kind::wide : Kind::real, shape, weights_.largest, true}};
        conv_.taps_y = taps_y_.data();
        conv_.taps_x = taps_x_.data();
        conv_.taps = taps;
        conv_.width = static_cast<size_t>(x.places());
        conv_.stride = outputs[0].stride();
        macs_ = reach(taps_y_, taps) * reach(taps_x_, taps) * input_.shape[0] * group_outputs_;
    }

    // For each place of the axis: how many outputs it reaches, then each as kernel place and output place.
    static std::vector<uint32_t> taps_of(const Axis& axis, size_t taps) {
        std::vector<uint32_t> table(static_cast<size_t>(axis.size) * taps, 0);
        for (int64_t place = 0; place < axis.size; ++place)
            for (int64_t k = 0; k < axis.kernel; ++k) {
                const int64_t at = place + axis.padding - k * axis.dilation;
                if (at < 0 || at % axis.stride != 0 || at / axis.stride >= axis.places()) continue;
                uint32_t* row = table.data() + static_cast<size_t>(place) * taps;
                row[++row[0]] = static_cast<uint32_t>(k) | static_cast<uint32_t>(at / axis.stride) << 16;
            }
        return table;
    }

    static int64_t reach(const std::vector<uint32_t>& table, size_t taps) {
        int64_t sum = 0;
        for (size_t i = 0; i < table.size(); i += taps) sum += table[i];
        return sum;
    }

    // Inputs that are not zero, as they lie in memory: (channel, y, x), or (y, x, channel) with channels last.
    size_t find_events(const OpCall& call, EventList& list) const noexcept {
        return input_.kind == Kind::integer ? find(static_cast<const uint8_t*>(call.inputs[0]), list)
                                            : find(static_cast<const float*>(call.inputs[0]), list);
    }

    template <typename T>
    size_t find(const T* x, EventList& list) const noexcept {
        const size_t rows = input_.rows(), columns = input_.columns(), stride = input_.stride();
        size_t count = 0;
        for (size_t row = 0; row < rows; ++row, x += stride)
            for (size_t block = 0; block < columns; block += kLanes) {
                if (!any(x + block)) continue;
                const size_t end = std::min(block + kLanes, columns);
                for (size_t column = block; column < end; ++column)
                    if (x[column] != 0) list.events[count++] = event(row, column, static_cast<float>(x[column]));
            }
        return count;
    }

    static bool any(const uint8_t* x) noexcept {
        uint64_t a, b;
        std::memcpy(&a, x, 8);
        std::memcpy(&b, x + 8, 8);
        return (a | b) != 0;
    }
    static bool any(const float*) noexcept { return true; }

    kernels::ConvEvent event(size_t row, size_t column, float value) const noexcept {
        const auto u = [](size_t n) { return static_cast<uint32_t>(n); };
        if (input_.last) return {u(column), u(row / width_), u(row % width_), value};
        return {u(row / height_), u(row % height_), u(column), value};
    }

    // A counting sort keeps (y, x) ascending within a channel.
    static const kernels::ConvEvent* sort_by_channel(EventList& list, size_t count) noexcept {
        std::fill(list.starts.begin(), list.starts.end(), 0);
        for (size_t i = 0; i < count; ++i) ++list.starts[list.events[i].channel + 1];
        for (size_t c = 1; c < list.starts.size(); ++c) list.starts[c] += list.starts[c - 1];
        for (size_t i = 0; i < count; ++i) list.sorted[list.starts[list.events[i].channel]++] = list.events[i];
        return list.sorted.data();
    }

    void finish(void* out) const noexcept {
        if (weights_.wide) return;
        const size_t stride = outputs[0].stride(), rows = outputs[0].rows();
        auto* y = static_cast<float*>(out);
        if (weights_.number == Number::f32)
            kernels::table().scale_f32(y, weights_.scale.data(), weights_.bias.data(), rows, stride, y);
        else
            kernels::table().scale_i32(static_cast<const int32_t*>(out), weights_.scale.data(), weights_.bias.data(),
                                       rows, stride, y);
    }

    ValueType input_;
    size_t height_, width_;
    bool skip_first_, ordered_ = false;
    int64_t macs_ = 0, group_outputs_ = 0;
    Weights weights_;
    kernels::Conv conv_{};
    kernels::ConvEvents* kernel_ = nullptr;
    std::vector<uint32_t> taps_y_, taps_x_;
};

}  // namespace

void check_axis(const NodeView& view, const Axis& axis) {
    const int64_t reach = axis.dilation * (axis.kernel - 1) + 1;
    if (axis.size > kMaxPlaces || axis.kernel > kMaxPlaces) view.fail("axis is too long", std::to_string(axis.size));
    if (axis.size + 2 * axis.padding < reach)
        view.fail("kernel is larger than the input", std::to_string(reach),
                  "at most " + std::to_string(axis.size + 2 * axis.padding));
    if (axis.places() > kMaxPlaces) view.fail("axis is too long", std::to_string(axis.places()));
}

std::unique_ptr<Op> make_convolution(const NodeView& view, size_t axes) {
    return std::make_unique<Convolution>(view, axes);
}

}  // namespace edgesnn::executor
