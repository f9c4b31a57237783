// cuba: integer neurons (Loihi); docs/operators.md and native/kernels/cuba.inl.
#include <cstdlib>
#include <cstring>

#include "executor/op.hpp"
#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Cuba final : public Op {
  public:
    explicit Cuba(const NodeView& view) {
        view.expect(1, 1);
        const ValueType& x = view.inputs[0];
        if (x.kind != Kind::integer && x.kind != Kind::wide) view.fail("input is not integers", describe(x));
        const int64_t gain = view.integer("gain", INT32_MIN, INT32_MAX);
        if (x.bound != 0 && std::abs(gain) > INT32_MAX / x.bound)
            view.fail("gain times input is too large", describe(x));
        const int64_t v_th = view.integer("v_th", 1, INT32_MAX);
        const bool ge = view.text("compare", {"gt", "ge"}) == "ge";
        flags_ = {static_cast<int32_t>(view.integer("current_decay", 0, 4096)),
                  static_cast<int32_t>(view.integer("voltage_decay", 0, 4096)), static_cast<int32_t>(gain),
                  static_cast<int32_t>(ge ? v_th - 1 : v_th), x.kind == Kind::wide};
        refractory_ = static_cast<int32_t>(view.integer("refractory", 0, 255));
        skip_first_ = view.text("cold_start", {"run", "skip"}) == "skip";
        item_ = x.item_size();
        outputs = {{Kind::integer, x.shape, 1, x.last}};
        const Limits clamped{-INT32_MAX, INT32_MAX};
        states = {{"u", x.shape, Dtype::i32, 0, x.last, 0, clamped}, {"v", x.shape, Dtype::i32, 0, x.last, 0, clamped}};
        if (refractory_ != 0) states.push_back({"refractory", x.shape, Dtype::i32, 0, x.last, 0, {0, refractory_}});
    }

    void run(const OpCall& call) const noexcept override {
        const size_t n = call.rows * outputs[0].stride(), offset = call.first_row * outputs[0].stride();
        auto* out = static_cast<uint8_t*>(call.output);
        if (skip_first_ && call.step == 0) {
            std::memset(out, 0, n);
            return;
        }
        auto *u = static_cast<int32_t*>(call.states[0]) + offset, *v = static_cast<int32_t*>(call.states[1]) + offset;
        if (refractory_ == 0) {
            call.counters->spikes += static_cast<int64_t>(kernels::table().cuba(flags_, call.inputs[0], n, u, v, out));
            return;
        }
        auto* held = static_cast<int32_t*>(call.states[2]) + offset;
        for (size_t i = 0; i < n; i += kLanes) rest(call, i, u + i, v + i, held + i, out + i);
    }

  private:
    // Sixteen neurons, of which some may be at rest: their v stays and they do not fire.
    void rest(const OpCall& call, size_t at, int32_t* u, int32_t* v, int32_t* held, uint8_t* out) const noexcept {
        int32_t before[kLanes];
        std::memcpy(before, v, sizeof(before));
        kernels::table().cuba(flags_, static_cast<const uint8_t*>(call.inputs[0]) + at * item_, kLanes, u, v, out);
        for (size_t j = 0; j < kLanes; ++j) {
            if (held[j] > 0) {
                --held[j];
                v[j] = before[j];
                out[j] = 0;
            } else if (out[j] != 0) {
                held[j] = refractory_;
            }
            call.counters->spikes += out[j];
        }
    }

    kernels::Cuba flags_{};
    int32_t refractory_;
    bool skip_first_;
    size_t item_;
};

}  // namespace

std::unique_ptr<Op> make_cuba(const NodeView& view) {
    return std::make_unique<Cuba>(view);
}

}  // namespace edgesnn::executor
