// delay: y = x of `steps` steps before, zeros until then; the only operator whose input may be made later. The line is
// a ring: the oldest entry lies at `position`, and is overwritten at the end of the step.
#include <cstring>

#include "executor/moves.hpp"
#include "executor/op.hpp"

namespace edgesnn::executor {
namespace {

class Delay final : public Op {
  public:
    explicit Delay(const NodeView& view) {
        if (view.node.inputs.size() != 1 || view.node.outputs.size() != 1)
            view.fail("other number of inputs or outputs");
        steps_ = static_cast<size_t>(view.integer("steps", 1, 4096));
        const std::string value = view.text("value", {"int", "int32", "float32"});
        ValueType type{value == "int"     ? Kind::integer
                       : value == "int32" ? Kind::wide
                                          : Kind::real,
                       view.integers("shape"), view.integer("bound", 0, INT32_MAX)};
        if (type.shape.empty()) view.fail("shape is empty");
        for (const int64_t n : type.shape)
            if (n < 1 || n > kMaxElements) view.fail("shape is wrong", std::to_string(n));
        if (type.kind == Kind::integer && (type.bound < 1 || type.bound > 255))
            view.fail("bound is wrong", std::to_string(type.bound));
        if (type.kind == Kind::real && type.bound != 0) view.fail("bound is wrong", std::to_string(type.bound), "0");
        type.last = !view.inputs.empty() && view.inputs[0].last;
        outputs = {type};
        slot_bytes_ = type.rows() * type.stride() * type.item_size();
        if (!view.inputs.empty()) bind(view.inputs[0], view.node.name);
        read_delays(view);
        Shape line{static_cast<int64_t>(steps_)};
        line.insert(line.end(), type.shape.begin(), type.shape.end());
        const Dtype dtype = type.kind == Kind::integer ? Dtype::u8 : type.kind == Kind::wide ? Dtype::i32 : Dtype::f32;
        const Limits values{type.kind == Kind::integer ? 0 : -type.bound, type.bound};
        states = {{"line", line, dtype, 0, type.last, 1, values},
                  {"position", {}, Dtype::i64, 0, false, 0, {0, static_cast<int64_t>(steps_) - 1}}};
    }

    bool rowwise() const noexcept override { return false; }
    bool latches() const noexcept override { return true; }

    void bind(const ValueType& input, const std::string& node) override {
        const ValueType& own = outputs[0];
        if (input.kind != own.kind || input.shape != own.shape || input.bound > own.bound)
            throw Error(ErrorKind::model, "input is not what the delay declares", "node '" + node + "'",
                        describe(input), describe(own));
        from_ = input;
        moves_ = input.last != own.last;
        reorder_ = Reorder(input, own);
    }

    void run(const OpCall& call) const noexcept override {
        const size_t bytes = slot_bytes_, item = outputs[0].item_size();
        const auto* line = static_cast<const uint8_t*>(call.states[0]);
        const size_t position = where(call);
        if (delays_.empty()) {
            std::memcpy(call.output, line + position * bytes, bytes);
            return;
        }
        auto* out = static_cast<uint8_t*>(call.output);
        std::memset(out, 0, bytes);
        for (size_t flat = 0; flat < delays_.size(); ++flat) {
            const size_t at = outputs[0].place(flat) * item, d = static_cast<size_t>(delays_[flat]);
            const uint8_t* from = d == 0 ? static_cast<const uint8_t*>(call.inputs[0]) + from_.place(flat) * item
                                         : line + (position + steps_ - d) % steps_ * bytes + at;
            std::memcpy(out + at, from, item);
        }
    }

    void latch(const OpCall& call) const noexcept override {
        const size_t bytes = slot_bytes_, position = where(call);
        uint8_t* to = static_cast<uint8_t*>(call.states[0]) + position * bytes;
        const auto* from = static_cast<const uint8_t*>(call.inputs[0]);
        if (!moves_)
            std::memcpy(to, from, bytes);
        else
            reorder_.copy(from, to);
        *static_cast<int64_t*>(call.states[1]) = static_cast<int64_t>((position + 1) % steps_);
    }

  private:
    void read_delays(const NodeView& view) {
        if (!view.has("delays")) return;
        const TensorSpec& tensor = view.tensor("delays");
        const size_t count = elements(outputs[0].shape);
        if (tensor.dtype != Dtype::i32 || tensor.layout != "vector" || static_cast<size_t>(tensor.shape[0]) != count)
            view.fail("tensor '" + tensor.name + "' has another shape or type");
        const auto* values = static_cast<const int32_t*>(tensor.data);
        view.hold(count * sizeof(int32_t));
        delays_.assign(values, values + count);
        for (const int32_t d : delays_)
            if (d < (view.inputs.empty() ? 1 : 0) || static_cast<size_t>(d) > steps_)
                view.fail("delay is out of range", std::to_string(d));
    }

    // A restored position may be any number.
    size_t where(const OpCall& call) const noexcept {
        return static_cast<size_t>(static_cast<uint64_t>(*static_cast<const int64_t*>(call.states[1])) % steps_);
    }

    size_t steps_, slot_bytes_;
    bool moves_ = false;  // the input lies otherwise
    Reorder reorder_;
    ValueType from_;
    std::vector<int32_t> delays_;
};

}  // namespace

std::unique_ptr<Op> make_delay(const NodeView& view) {
    return std::make_unique<Delay>(view);
}

}  // namespace edgesnn::executor
