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

constexpr int64_t kMaxPlaces = 1 << 15;  // of an axis
constexpr int64_t kMaxTaps = 1 << 24;    // of an axis: a small file must not fill the memory

constexpr size_t kMostBlocks = 1 << 16;  // whose places are kept; of a larger input they are computed

struct EventList final : Scratch {
    EventList(size_t places, size_t to_sort, size_t channels)
        : active(places), events(places), sorted(to_sort), starts(channels + 1) {}
    std::vector<uint32_t> active;
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
        view.text("activations", {"int", "float32"});
        read_weight(view, axes);
        read_geometry(view, axes);
        find_blocks();
    }

    bool rowwise() const noexcept override { return false; }
    bool steady() const noexcept override { return !skip_first_; }

    std::unique_ptr<Scratch> scratch() const override {
        return std::make_unique<EventList>(places(), sorts() ? places() : 0, static_cast<size_t>(input_.shape[0]));
    }
    size_t scratch_bytes() const noexcept override {
        return places() * (sizeof(uint32_t) + (sorts() ? 2 : 1) * sizeof(kernels::ConvEvent));
    }

    void run(const OpCall& call) const noexcept override {
        if (skip_first_ && call.step == 0) return clear(call.output);
        add_events(call);
        finish(call.output);
    }

    bool fuses(const Op& next) const noexcept override {
        return !weights_.wide && !skip_first_ && next.neurons() != nullptr;
    }

    // The sums lie in the convolution's own output, and go from there straight into the neurons.
    void run_fused(const OpCall& call, const Op& op, const OpCall& next) const noexcept override {
        add_events(call);
        const kernels::NeuronStates places = op.neuron_states(next);
        const size_t rows = outputs[0].rows(), stride = outputs[0].stride();
        const float *scale = weights_.scale.data(), *bias = weights_.bias.data();
        const uint64_t spikes =
            weights_.number == Number::f32
                ? kernels::table().neurons_f32(*op.neurons(), places, static_cast<const float*>(call.output), scale,
                                               bias, rows, stride, next.output)
                : kernels::table().neurons_i32(*op.neurons(), places, static_cast<const int32_t*>(call.output), scale,
                                               bias, rows, stride, next.output);
        next.counters->spikes += static_cast<int64_t>(spikes);
    }

  private:
    size_t places() const noexcept { return input_.rows() * input_.stride(); }
    // Whether the order of the sums is not that of the input in memory.
    bool sorts() const noexcept { return ordered_ && input_.last; }

    void clear(void* out) const noexcept {
        std::memset(out, 0, outputs[0].rows() * outputs[0].stride() * outputs[0].item_size());
    }

    void add_events(const OpCall& call) const noexcept {
        clear(call.output);
        auto& list = *static_cast<EventList*>(call.scratch);
        const size_t count = find_events(call, list);
        const kernels::ConvEvent* events = list.events.data();
        if (sorts()) events = sort_by_channel(list, count);
        const uint64_t reached = kernel_(conv_, events, count, call.output);
        const auto fan = static_cast<int64_t>(reached) * group_outputs_;
        if (input_.kind == Kind::integer)
            call.counters->synops += fan;
        else
            call.counters->macs += macs_;
    }

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
        kernel_height_ = axes == 2 ? weight.shape[2] : 1;
        kernel_width_ = weight.shape.back();
        conv_.plane = static_cast<size_t>(kernel_height_ * kernel_width_) * weights_.stride;
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
        const Axis x{static_cast<int64_t>(width_), kernel_width_, stride.second, padding.second, dilation.second};
        const Axis y =
            two ? Axis{static_cast<int64_t>(height_), kernel_height_, stride.first, padding.first, dilation.first}
                : Axis{1, 1, 1, 0, 1};
        check_axis(view, x);
        check_axis(view, y);
        if (x.size * x.kernel > kMaxTaps || y.size * y.kernel > kMaxTaps)
            view.fail("kernel is too large", describe(input_));
        const int64_t channels = view.tensor("weight").shape[0];
        Shape shape = two ? Shape{channels, y.places(), x.places()} : Shape{channels, x.places()};
        outputs = {{weights_.wide ? Kind::wide : Kind::real, shape, weights_.largest, true}};
        const size_t sums = outputs[0].rows() * outputs[0].stride();
        if (sums > UINT32_MAX || conv_.plane > UINT32_MAX) view.fail("value is too large", describe(outputs[0]));
        const auto width = static_cast<size_t>(x.places());
        taps_x_ = Taps(x, weights_.stride, outputs[0].stride());
        taps_y_ = Taps(y, static_cast<size_t>(kernel_width_) * weights_.stride, width * outputs[0].stride());
        conv_.taps_x = taps_x_.taps.data(), conv_.begin_x = taps_x_.begin.data();
        conv_.taps_y = taps_y_.taps.data(), conv_.begin_y = taps_y_.begin.data();
        macs_ = static_cast<int64_t>(taps_y_.taps.size() * taps_x_.taps.size()) * input_.shape[0] * group_outputs_;
    }

    // For each place of an axis: the kernel places through which it reaches an output, in elements of weights and sums.
    struct Taps {
        Taps() = default;
        Taps(const Axis& axis, size_t weight, size_t output) {
            for (int64_t place = 0; place < axis.size; ++place) {
                begin.push_back(static_cast<uint32_t>(taps.size()));
                for (int64_t k = 0; k < axis.kernel; ++k) {
                    const int64_t at = place + axis.padding - k * axis.dilation;
                    if (at < 0 || at % axis.stride != 0 || at / axis.stride >= axis.places()) continue;
                    taps.push_back({static_cast<uint32_t>(static_cast<size_t>(k) * weight),
                                    static_cast<uint32_t>(static_cast<size_t>(at / axis.stride) * output)});
                }
            }
            begin.push_back(static_cast<uint32_t>(taps.size()));
        }

        std::vector<kernels::ConvTap> taps;
        std::vector<uint32_t> begin;
    };

    // For each sixteen elements of the input as it lies in memory: where the first of them stands.
    void find_blocks() {
        if (places() / kLanes > kMostBlocks) return;
        const auto channels = static_cast<uint32_t>(input_.shape[0]);
        const auto height = static_cast<uint32_t>(height_), width = static_cast<uint32_t>(width_);
        const uint32_t outer = input_.last ? height : channels, inner = input_.last ? width : height;
        for (uint32_t i = 0; i < outer; ++i)
            for (uint32_t j = 0; j < inner; ++j)
                for (uint32_t column = 0; column < input_.stride(); column += kLanes)
                    blocks_.push_back(input_.last ? kernels::ConvEvent{column, i, j, 0}
                                                  : kernels::ConvEvent{i, j, column, 0});
    }

    // Inputs that are not zero, as they lie in memory: (channel, y, x), or (y, x, channel) with channels last.
    size_t find_events(const OpCall& call, EventList& list) const noexcept {
        uint32_t* const active = list.active.data();
        if (input_.kind == Kind::integer) {
            const auto* x = static_cast<const uint8_t*>(call.inputs[0]);
            const size_t count = kernels::table().active_u8(x, places(), active);
            place_events(x, active, count, list.events.data());
            return count;
        }
        const auto* x = static_cast<const float*>(call.inputs[0]);
        const size_t columns = input_.columns(), stride = input_.stride();
        size_t count = 0;
        for (size_t row = 0; row < places(); row += stride)
            for (size_t column = 0; column < columns; ++column)
                if (x[row + column] != 0) active[count++] = static_cast<uint32_t>(row + column);
        place_events(x, active, count, list.events.data());
        return count;
    }

    template <typename T>
    void place_events(const T* x, const uint32_t* active, size_t count, kernels::ConvEvent* to) const noexcept {
        for (size_t i = 0; i < count; ++i) {
            const uint32_t at = active[i];
            kernels::ConvEvent event = blocks_.empty() ? place(at) : blocks_[at / kLanes];
            if (!blocks_.empty()) (input_.last ? event.channel : event.x) += at % kLanes;
            event.value = static_cast<float>(x[at]);
            to[i] = event;
        }
    }

    kernels::ConvEvent place(uint32_t at) const noexcept {
        const auto stride = static_cast<uint32_t>(input_.stride());
        const auto inner = static_cast<uint32_t>(input_.last ? width_ : height_);
        const uint32_t row = at / stride, column = at % stride;
        return input_.last ? kernels::ConvEvent{column, row / inner, row % inner, 0}
                           : kernels::ConvEvent{row / inner, row % inner, column, 0};
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
    int64_t macs_ = 0, group_outputs_ = 0, kernel_height_ = 1, kernel_width_ = 1;
    Weights weights_;
    kernels::Conv conv_{};
    kernels::ConvEvents* kernel_ = nullptr;
    Taps taps_y_, taps_x_;
    std::vector<kernels::ConvEvent> blocks_;
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
