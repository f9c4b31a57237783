// lif: leaky integrate-and-fire neurons with all their flags; the equations are in docs/operators.md and
// native/kernels/neuron_update.inl.
#include <algorithm>
#include <cstring>
#include <limits>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

using kernels::Neurons;
using Kept = float[7][Parameter::kBlock];  // blocks of parameters that are not spread

constexpr float kNever = std::numeric_limits<float>::infinity();  // a threshold

template <typename T, size_t N>
T choose(const NodeView& view, const char* attribute, const std::pair<const char*, T> (&values)[N]) {
    std::string allowed;
    const auto it = view.node.attributes.find(attribute);
    const auto* text = it == view.node.attributes.end() ? nullptr : std::get_if<std::string>(&it->second);
    for (const auto& [name, value] : values) {
        if (text != nullptr && *text == name) return value;
        allowed += (allowed.empty() ? "" : ", ") + std::string(name);
    }
    view.fail(std::string("attribute '") + attribute + "' is wrong", text == nullptr ? "" : *text, allowed);
}

class Lif final : public Op {
  public:
    explicit Lif(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::real) view.fail("input is not a current", describe(x), "float32 values");
        read_flags(view);
        read_parameters(view, x);
        const bool spikes = flags_.spike != Neurons::Spike::none;
        outputs = {{spikes ? Kind::integer : Kind::real, x.shape, spikes ? flags_.cap : 0, x.last}};
        states = {{"v", x.shape, Dtype::f32, view.real("v_init"), x.last}};
        if (flags_.current != Neurons::Current::none) states.push_back({"i", x.shape, Dtype::f32, 0, x.last});
        if (flags_.refractory != 0)
            states.push_back({"refractory", x.shape, Dtype::i32, 0, x.last, 0, {0, flags_.refractory}});
    }

    const Neurons* neurons() const noexcept override { return uniform_ && !skip_first_ ? &flags_ : nullptr; }

    kernels::NeuronStates neuron_states(const OpCall& call) const noexcept override {
        const size_t offset = call.first_row * outputs[0].stride();
        kernels::NeuronStates found;
        found.v = static_cast<float*>(call.states[0]) + offset;
        size_t state = 1;
        if (flags_.current != Neurons::Current::none) found.i = static_cast<float*>(call.states[state++]) + offset;
        if (flags_.refractory != 0) found.held = static_cast<int32_t*>(call.states[state]) + offset;
        return found;
    }

    bool makes_bits() const noexcept override { return neurons() != nullptr && flags_.usual(); }

    void run(const OpCall& call) const noexcept override {
        const size_t stride = outputs[0].stride();
        if (skip_first_ && call.step == 0) {
            std::memset(call.output, 0, call.rows * stride * outputs[0].item_size());
            return;
        }
        const kernels::NeuronStates places = neuron_states(call);
        const auto* x = static_cast<const float*>(call.inputs[0]);
        if (call.output_bits) return run_bits(call, places, x);
        const uint64_t spikes =
            uniform_ ? kernels::table().neurons_f32(flags_, places, x, nullptr, nullptr, call.rows, stride, call.output)
                     : run_rows(call, places, x);
        call.counters->spikes += static_cast<int64_t>(spikes);
    }

  private:
    // A few rows of usual neurons at a time become bits.
    void run_bits(const OpCall& call, kernels::NeuronStates places, const float* x) const noexcept {
        constexpr size_t kRows = 32;
        uint8_t bytes[kRows * kernels::kBitColumns];
        const size_t stride = outputs[0].stride();
        for (size_t row = 0; row < call.rows; row += kRows, x += kRows * stride, places.v += kRows * stride) {
            const size_t rows = std::min(kRows, call.rows - row);
            call.counters->spikes += static_cast<int64_t>(
                kernels::table().neurons_f32(flags_, places, x, nullptr, nullptr, rows, stride, bytes));
            kernels::table().pack_bits(bytes, rows, stride, static_cast<uint64_t*>(call.output) + row);
        }
    }

    void read_flags(const NodeView& view) {
        using N = Neurons;
        flags_.euler = view.text("decay", {"multiply", "euler"}) == "euler";
        flags_.current = choose<N::Current>(view, "current",
                                            {{"none", N::Current::none},
                                             {"new", N::Current::fresh},
                                             {"sum_decay", N::Current::sum_decay},
                                             {"jump", N::Current::jump},
                                             {"old", N::Current::old}});
        flags_.ge = view.text("compare", {"ge", "gt"}) == "ge";
        flags_.spike = choose<N::Spike>(view, "spike",
                                        {{"binary", N::Spike::binary},
                                         {"floor", N::Spike::floor},
                                         {"half_up", N::Spike::half_up},
                                         {"half_even", N::Spike::half_even},
                                         {"none", N::Spike::none}});
        flags_.reset = choose<N::Reset>(view, "reset",
                                        {{"zero", N::Reset::zero},
                                         {"value", N::Reset::value},
                                         {"subtract", N::Reset::subtract},
                                         {"none", N::Reset::none}});
        flags_.at = choose<N::At>(
            view, "reset_at",
            {{"same", N::At::same}, {"next", N::At::next}, {"old", N::At::old}, {"no_double", N::At::no_double}});
        flags_.cap = static_cast<int32_t>(view.integer("cap", 1, 255));
        flags_.refractory = static_cast<int32_t>(view.integer("refractory", 0, 255));
        skip_first_ = view.text("cold_start", {"run", "skip"}) == "skip";
        const bool binary = flags_.spike == N::Spike::binary;
        const bool silent = flags_.spike == N::Spike::none;
        if (((binary || silent) && flags_.cap != 1) ||
            (flags_.at != N::At::same && (!binary || flags_.reset == N::Reset::none)) ||
            (silent && (flags_.reset != N::Reset::none || flags_.refractory != 0)) ||
            (flags_.at == N::At::no_double && flags_.reset != N::Reset::subtract))
            view.fail("flags do not go together", "spike, cap, reset, reset_at", "docs/operators.md");
    }

    void read_parameters(const NodeView& view, const ValueType& x) {
        alpha_ = view.parameter("alpha", x, 0.0F);
        const bool counts = flags_.spike != Neurons::Spike::none && flags_.spike != Neurons::Spike::binary;
        if (view.has("v_th") == (flags_.spike == Neurons::Spike::none)) view.fail("v_th belongs to neurons that spike");
        if (view.has("v_th"))
            v_th_ = view.parameter("v_th", x, kNever);  // padding never fires
        else
            v_th_ = view.constant(kNever, x);
        if (counts && !view.positive("v_th")) view.fail("thresholds of counting neurons are not positive");
        if ((flags_.current != Neurons::Current::none) != view.has("beta") ||
            (flags_.reset == Neurons::Reset::value) != view.has("v_reset"))
            view.fail("beta belongs to a current, v_reset to reset 'value', and neither elsewhere");
        if (view.has("beta")) beta_ = view.parameter("beta", x, 0.0F);
        if (view.has("v_reset")) v_reset_ = view.parameter("v_reset", x, 0.0F);
        if (view.has("gain")) gain_ = view.parameter("gain", x, 0.0F);
        if (view.has("leak")) leak_ = view.parameter("leak", x, 0.0F);
        if (view.has("v_min")) v_min_ = view.parameter("v_min", x, 0.0F);
        for (const Parameter* p : {&alpha_, &v_th_, &beta_, &gain_, &leak_, &v_reset_, &v_min_})
            uniform_ = uniform_ && p->uniform();
        if (uniform_) choose_row(flags_);
    }

    // Rows of parameters of their own, or of parameters that are not spread.
    uint64_t run_rows(const OpCall& call, const kernels::NeuronStates& places, const float* x) const noexcept {
        const size_t stride = outputs[0].stride(), item = outputs[0].item_size();
        auto* out = static_cast<uint8_t*>(call.output);
        Kept kept;
        Neurons n = flags_;
        uint64_t spikes = 0;
        for (size_t row = 0; row < call.rows; ++row)
            for (size_t first = 0; first < stride; first += Parameter::kBlock) {
                const size_t length = std::min(Parameter::kBlock, stride - first), offset = row * stride + first;
                choose_block(call.first_row + row, first, length, kept, n);
                kernels::NeuronStates at = places;
                at.v += offset;
                if (at.i != nullptr) at.i += offset;
                if (at.held != nullptr) at.held += offset;
                spikes +=
                    kernels::table().neurons_f32(n, at, x + offset, nullptr, nullptr, 1, length, out + offset * item);
            }
        return spikes;
    }

    void choose_row(Neurons& n) const noexcept {
        n.alpha = alpha_.row(0), n.v_th = v_th_.row(0), n.beta = beta_.row(0), n.gain = gain_.row(0);
        n.leak = leak_.row(0), n.v_reset = v_reset_.row(0), n.v_min = v_min_.row(0);
    }

    void choose_block(size_t row, size_t first, size_t length, Kept& kept, Neurons& n) const noexcept {
        n.alpha = alpha_.block(row, first, length, kept[0]), n.v_th = v_th_.block(row, first, length, kept[1]);
        n.beta = beta_.block(row, first, length, kept[2]), n.gain = gain_.block(row, first, length, kept[3]);
        n.leak = leak_.block(row, first, length, kept[4]), n.v_reset = v_reset_.block(row, first, length, kept[5]);
        n.v_min = v_min_.block(row, first, length, kept[6]);
    }

    Neurons flags_;
    bool skip_first_ = false, uniform_ = true;
    Parameter alpha_, v_th_, beta_, gain_, leak_, v_reset_, v_min_;
};

}  // namespace

std::unique_ptr<Op> make_lif(const NodeView& view) {
    return std::make_unique<Lif>(view);
}

}  // namespace edgesnn::executor
