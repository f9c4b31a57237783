// linear: y[n] = float32(acc[n]) * scale[n] + bias[n], or the bare sums; docs/arithmetic.md, sections 3 to 5. The form
// is chosen at load by the types of weight and input; integer inputs read only the rows of active ones, or for a few
// spikes a table.
#include <algorithm>
#include <cstring>

#include "executor/ops/weights.hpp"
#include "kernels/dot_blocks.hpp"
#include "kernels/dot_sums.hpp"
#include "kernels/kernels.hpp"
#include "kernels/nibble_table.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kTableBytes = 16 << 10;  // half of a first-level cache
constexpr size_t kFewInputs = 32;         // of one row, for which a table is worth its place in the cache
constexpr size_t kRowsOfBits = 64;
constexpr size_t kMostFused = 2048;  // outputs
constexpr int64_t kMostCount = 127;  // of inputs that are fused

constexpr size_t kSharedWeights = 1 << 20;  // bytes of a matrix, at least, to wake threads for
constexpr size_t kRowsAtOnce = 32;          // of quantised vectors through one pass over the weights

struct ActiveList final : Scratch {
    explicit ActiveList(size_t inputs) : indices(inputs) {}
    std::vector<uint32_t> indices;
};

struct Quantised final : Scratch {
    explicit Quantised(size_t stride) : q(new int8_t[kRowsAtOnce * stride]) {}
    std::unique_ptr<int8_t[]> q;  // not set to zeros: what few rows leave untouched takes no memory
    float scales[kRowsAtOnce];
};

class Linear final : public Op {
  public:
    explicit Linear(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer && x.kind != Kind::real) view.fail("input cannot be multiplied", describe(x));
        weights_ = Weights(view);
        const TensorSpec& weight = view.tensor("weight");
        if (weight.shape.size() != 2 || weight.shape[1] != x.shape.back())
            view.fail("tensor '" + weight.name + "' has another shape", "", "[N, " + std::to_string(x.columns()) + "]");
        skip_first_ = view.text("cold_start", {"run", "skip"}) == "skip";
        Shape shape = x.shape;
        shape.back() = weights_.outputs;
        outputs = {{weights_.wide ? Kind::wide : Kind::real, shape, weights_.largest}};
        input_stride_ = x.stride();
        columns_ = static_cast<int64_t>(x.columns());
        matrix_ = {weights_.data, weights_.wide ? nullptr : weights_.scale.data(), weights_.bias.data(), x.columns(),
                   outputs[0].stride()};
        if (x.kind == Kind::integer)
            choose_events(x.bound, view.input.kind == "points" && outputs[0].rows() > 1);
        else
            choose_dense();
    }

    bool batchable() const noexcept override { return !skip_first_; }
    bool steady() const noexcept override { return !skip_first_; }
    bool counts_alike() const noexcept override { return events_ == nullptr; }
    size_t weight_bytes() const noexcept override {
        const size_t bits = weights_.number == Number::f32 ? 32 : weights_.number == Number::i8 ? 8 : 4;
        return events_ == nullptr ? matrix_.inputs * matrix_.stride * bits / 8 : 0;
    }

    std::unique_ptr<Scratch> scratch() const override {
        if (dot_ != nullptr) return std::make_unique<Quantised>(input_stride_);
        if (events_ != nullptr) return std::make_unique<ActiveList>(input_stride_);
        return nullptr;
    }

    size_t scratch_bytes() const noexcept override {
        if (dot_ != nullptr) return kRowsAtOnce * input_stride_;
        return events_ != nullptr ? input_stride_ * sizeof(uint32_t) : 0;
    }

    void run(const OpCall& call) const noexcept override {
        auto* out = static_cast<float*>(call.output);
        if (skip_first_ && call.step == 0) {
            std::memset(out, 0, call.rows * outputs[0].stride() * sizeof(float));
            return;
        }
        if (events_ != nullptr) {
            auto* active = static_cast<ActiveList*>(call.scratch)->indices.data();
            const uint64_t sum =
                events_(matrix_, static_cast<const uint8_t*>(call.inputs[0]), input_stride_, call.rows, active, out);
            call.counters->synops += static_cast<int64_t>(sum) * weights_.outputs;
            return;
        }
        const auto* x = static_cast<const float*>(call.inputs[0]);
        if (dot_ != nullptr)
            quantised(x, call.rows, *static_cast<Quantised*>(call.scratch), out);
        else
            kernels::table().lanes_f32(matrix_, x, input_stride_, call.rows, out);
        call.counters->macs += static_cast<int64_t>(call.rows) * columns_ * weights_.outputs;
    }

    bool fuses(const Op& next) const noexcept override {
        const kernels::Neurons* neurons = next.neurons();
        return fused_ && matrix_.stride <= kMostFused && neurons != nullptr && neurons->usual();
    }
    bool makes_bits() const noexcept override { return as_bits(); }
    bool reads_bits() const noexcept override { return as_bits(); }

    void run_fused(const OpCall& call, const Op& op, const OpCall& next) const noexcept override {
        const kernels::Neurons& neurons = *op.neurons();
        float* v = op.neuron_states(next).v;
        uint64_t spikes = 0;
        const uint64_t sum = as_bits()
                                 ? run_bits(call, neurons, v, next, spikes)
                                 : kernels::table().counts_neurons(
                                       fused_matrix_, neurons, v, static_cast<const uint8_t*>(call.inputs[0]),
                                       input_stride_, call.rows, static_cast<ActiveList*>(call.scratch)->indices.data(),
                                       static_cast<uint8_t*>(next.output), &spikes);
        call.counters->synops += static_cast<int64_t>(sum) * weights_.outputs;
        next.counters->spikes += static_cast<int64_t>(spikes);
    }

    size_t parts() const noexcept override {
        return dot_ != nullptr && weight_bytes() >= kSharedWeights ? matrix_.stride / kLanes : 0;
    }

    void begin_parts(const OpCall& call) const noexcept override {
        auto& scratch = *static_cast<Quantised*>(call.scratch);
        kernels::table().quantize_f32(static_cast<const float*>(call.inputs[0]), input_stride_, 1, scratch.q.get(),
                                      scratch.scales);
        call.counters->macs += columns_ * weights_.outputs;
    }

    void run_part(const OpCall& call, size_t begin, size_t end) const noexcept override {
        const auto& scratch = *static_cast<const Quantised*>(call.scratch);
        const size_t first = begin * kLanes;
        kernels::DotMatrix part = dot_matrix_;
        part.weights = static_cast<const uint8_t*>(part.weights) + begin * part.blocks * 64;
        part.scale += first;
        part.bias += first;
        if (part.sums != nullptr) part.sums += first;
        if (part.multipliers != nullptr) part.multipliers += first;
        part.outputs = (end - begin) * kLanes;
        dot_(part, scratch.q.get(), input_stride_, scratch.scales, 1, static_cast<float*>(call.output) + first);
    }

  private:
    bool as_bits() const noexcept { return !nibbles_.empty() && matrix_.stride <= kernels::kBitColumns; }

    // Rows of bytes become bits and bits bytes a few at a time.
    uint64_t run_bits(const OpCall& call, const kernels::Neurons& neurons, float* v, const OpCall& next,
                      uint64_t& spikes) const noexcept {
        const kernels::Table& table = kernels::table();
        uint64_t x_bits[kRowsOfBits], s_bits[kRowsOfBits], total = 0;
        const size_t most = call.input_bits && next.output_bits ? call.rows : kRowsOfBits;
        for (size_t row = 0; row < call.rows; row += most) {
            const size_t rows = std::min(most, call.rows - row);
            const auto* bytes = static_cast<const uint8_t*>(call.inputs[0]) + row * input_stride_;
            if (!call.input_bits) table.pack_bits(bytes, rows, input_stride_, x_bits);
            const uint64_t* x = call.input_bits ? static_cast<const uint64_t*>(call.inputs[0]) + row : x_bits;
            uint64_t* s = next.output_bits ? static_cast<uint64_t*>(next.output) + row : s_bits;
            uint64_t fired = 0;
            total += table.nibbles_neurons(matrix_, neurons, v + row * matrix_.stride, x, rows, s, &fired);
            spikes += fired;
            if (!next.output_bits)
                table.unpack_bits(s, rows, matrix_.stride, static_cast<uint8_t*>(next.output) + row * matrix_.stride);
        }
        return total;
    }

    // Rows of points are many: there a matrix has larger tables, and is one with its neurons.
    void choose_events(int64_t bound, bool points) {
        const kernels::Table& table = kernels::table();
        const bool spikes = bound == 1;
        events_ = weights_.number == Number::f32  ? table.events_f32
                  : weights_.number == Number::i8 ? (spikes ? table.spikes_i8 : table.counts_i8)
                                                  : (spikes ? table.spikes_i4 : table.counts_i4);
        if (weights_.number != Number::i8 || weights_.wide) return;
        const auto* weights = static_cast<const int8_t*>(weights_.data);
        const size_t inputs = matrix_.inputs, groups = (inputs + 3) / 4;
        const size_t most = points ? kernels::kNibbleInputs : kFewInputs;
        if (spikes && inputs <= most && groups * 16 * matrix_.stride * 2 <= kTableBytes) {
            nibbles_ = kernels::nibble_table(weights, inputs, matrix_.stride);
            events_ = table.nibbles_i8;
        }
        fused_ = (points || !nibbles_.empty()) && !skip_first_ && bound <= kMostCount;
        fused_matrix_ = matrix_;
        if (fused_ && inputs * matrix_.stride <= kernels::kDenseWeights) {
            blocks_ = kernels::dot_blocks(weights, inputs, matrix_.stride);
            fused_matrix_.blocks = blocks_.data();
        }
        if (!nibbles_.empty()) matrix_.weights = nibbles_.data();
    }

    void choose_dense() {
        if (weights_.scaled) matrix_.scale = nullptr;
        if (weights_.activations != "int8") return;
        const size_t deep = weights_.number == Number::i8 ? 4 : 8;
        dot_ = deep == 4 ? kernels::table().dot_i8 : kernels::table().dot_i4;
        dot_matrix_ = {weights_.data,  matrix_.scale,   matrix_.bias,   weights_.multipliers, nullptr,
                       matrix_.inputs, weights_.stride, matrix_.stride, weights_.group,       matrix_.stride};
        if (deep == 8) return;
        sums_ = kernels::dot_sums(static_cast<const int8_t*>(weights_.data), weights_.stride, matrix_.stride);
        dot_matrix_.sums = sums_.data();
    }

    void quantised(const float* x, size_t rows, Quantised& scratch, float* out) const noexcept {
        for (size_t first = 0; first < rows; first += kRowsAtOnce) {
            const size_t count = std::min(kRowsAtOnce, rows - first);
            kernels::table().quantize_f32(x + first * input_stride_, input_stride_, count, scratch.q.get(),
                                          scratch.scales);
            dot_(dot_matrix_, scratch.q.get(), input_stride_, scratch.scales, count, out + first * matrix_.stride);
        }
    }

    Weights weights_;
    bool skip_first_;
    size_t input_stride_;
    int64_t columns_;
    kernels::Matrix matrix_;
    kernels::LinearEvents* events_ = nullptr;
    kernels::Dot* dot_ = nullptr;
    kernels::DotMatrix dot_matrix_{};
    std::vector<int32_t> sums_;
    std::vector<int16_t> nibbles_;
    bool fused_ = false;  // with neurons, where they are usual
    kernels::Matrix fused_matrix_{};
    std::vector<int8_t> blocks_;
};

}  // namespace

std::unique_ptr<Op> make_linear(const NodeView& view) {
    return std::make_unique<Linear>(view);
}

}  // namespace edgesnn::executor
