#include "executor/plan.hpp"

#include <algorithm>
#include <numeric>

#include "executor/arena.hpp"
#include "executor/fusion.hpp"

namespace edgesnn::executor {
namespace {

constexpr size_t kTileBytes = 128 << 10;  // of values and states in a tile; tuned by bench/spikepoint.py
constexpr size_t kSmallBytes = 8 << 10;   // of a value whose steps are all kept
constexpr size_t kChunkSteps = 16;        // slots of a call where the input does not say

// Of a row.
size_t value_bytes(const Plan& plan, const std::vector<ValueType>& types, int value) {
    const ValueType& type = types[static_cast<size_t>(value)];
    return plan.bits[static_cast<size_t>(value)] ? sizeof(uint64_t) : type.stride() * type.item_size();
}

class Planner {
  public:
    Planner(const ModelSpec& spec, const std::vector<Step>& steps, const std::vector<ValueType>& types)
        : steps_(steps), types_(types), points_(spec.input.kind == "points") {
        plan_.constant.assign(types.size(), points_);
        plan_.segment.assign(types.size(), -1);
        plan_.shared.assign(types.size(), false);
        plan_.shared[0] = true;
        plan_.chunk_steps = points_ ? static_cast<size_t>(spec.input.steps) : kChunkSteps;
        find_loops();
        find_lasting();
    }

    Plan make(const std::vector<int>& outputs, bool fuse) {
        plan_.bits.assign(types_.size(), false);
        partner_.assign(steps_.size(), -1);
        if (fuse) {
            Fusion fusion = find_fusion(steps_, types_, outputs, loop_, points_);
            partner_ = std::move(fusion.partner);
            plan_.bits = std::move(fusion.bits);
        }
        for (size_t i = 0; i < steps_.size(); ++i)
            for (size_t output = 0; output < steps_[i].op->outputs.size(); ++output) add(i, output);
        mark_shared(outputs);
        for (Segment& segment : plan_.segments) finish(segment);
        return std::move(plan_);
    }

  private:
    // Steps from a delay to the maker of its input lie on a cycle; cycles that overlap are one.
    void find_loops() {
        loop_.assign(steps_.size(), -1);
        std::vector<size_t> maker(types_.size(), 0);
        for (size_t i = 0; i < steps_.size(); ++i)
            for (size_t output = 0; output < steps_[i].op->outputs.size(); ++output)
                maker[static_cast<size_t>(steps_[i].first_output) + output] = i;
        size_t begin = 0, end = 0;  // of the cycle last found, end exclusive
        for (size_t i = 0; i < steps_.size(); ++i)
            for (const int input : steps_[i].inputs) {
                const size_t last = maker[static_cast<size_t>(input)];
                if (input == 0 || last < i) continue;
                begin = i < end ? begin : i;
                end = std::max(end, last + 1);
                for (size_t j = begin; j < end; ++j) loop_[j] = static_cast<int>(begin);
            }
    }

    // What a state depends on: operators that keep one, and all before them.
    void find_lasting() {
        std::vector<size_t> found;
        std::vector<size_t> maker(types_.size(), 0);
        lasting_.assign(steps_.size(), false);
        for (size_t i = 0; i < steps_.size(); ++i) {
            for (size_t output = 0; output < steps_[i].op->outputs.size(); ++output)
                maker[static_cast<size_t>(steps_[i].first_output) + output] = i;
            if (!steps_[i].op->states.empty()) found.push_back(i);
        }
        while (!found.empty()) {
            const size_t i = found.back();
            found.pop_back();
            if (lasting_[i]) continue;
            lasting_[i] = true;
            for (const int input : steps_[i].inputs)
                if (input != 0) found.push_back(maker[static_cast<size_t>(input)]);
        }
    }

    // The first of two works where the second stands.
    void add_fused(size_t first, size_t second) {
        const Op& op = *steps_[second].op;
        const int value = steps_[second].first_output;
        const auto v = static_cast<size_t>(value);
        Entry entry{first, 0, steps_[first].inputs, value, op.rows(0), static_cast<int>(second), !lasting_[second]};
        const size_t s = choose(entry, *steps_[first].op);
        plan_.constant[v] = false;
        plan_.segment[v] = static_cast<int>(s);
        plan_.shared[v] = op.rows(0) != types_[v].rows();
        if (plan_.segments[s].kind != SegmentKind::tiled)  // memory for its sums
            plan_.segment[static_cast<size_t>(steps_[first].first_output)] = static_cast<int>(s);
        plan_.segments[s].stepping.push_back(std::move(entry));
    }

    // Equal inputs give equal outputs, and these are equal at every step.
    bool is_constant(size_t i) const {
        bool constant = steps_[i].op->steady() && loop_[i] < 0;
        for (const int input : steps_[i].inputs) constant = constant && plan_.constant[static_cast<size_t>(input)];
        return constant;
    }

    void add(size_t i, size_t output) {
        if (partner_[i] > static_cast<int>(i)) {  // neurons come later, unless this is done once
            if (!is_constant(i)) return;
            partner_[static_cast<size_t>(partner_[i])] = -1;
        } else if (partner_[i] >= 0) {
            return add_fused(static_cast<size_t>(partner_[i]), i);
        }
        const Op& op = *steps_[i].op;
        const int value = steps_[i].first_output + static_cast<int>(output);
        const auto v = static_cast<size_t>(value);
        const Entry entry{i, output, steps_[i].inputs, value, op.rows(output), -1, !lasting_[i]};
        const bool constant = is_constant(i);
        const size_t s = choose(entry, op);
        Segment& segment = plan_.segments[s];
        plan_.constant[v] = constant;
        plan_.segment[v] = static_cast<int>(s);
        plan_.shared[v] = op.rows(output) != types_[v].rows();  // its rows are not the tile's
        (constant ? segment.constant : segment.stepping).push_back(entry);
        if (op.latches() && output == 0) segment.latches.push_back(entry);
    }

    size_t choose(const Entry& entry, const Op& op) {
        const ValueType& type = types_[static_cast<size_t>(entry.value)];
        const size_t bytes = type.rows() * type.stride() * type.item_size();
        if (loop_[entry.step] >= 0) {
            const bool same = !plan_.segments.empty() && open_loop_ == loop_[entry.step];
            open_loop_ = loop_[entry.step];
            return same ? plan_.segments.size() - 1 : append(SegmentKind::frame, 0);
        }
        open_loop_ = -1;
        if (op.rowwise() && points_ && op.rows(entry.output) > 1) return place(entry, op.rows(entry.output));
        const bool heavy = !points_ && op.batchable() && op.weight_bytes() >= bytes * plan_.chunk_steps;
        if (bytes <= kSmallBytes || heavy) return append(SegmentKind::single, op.rows(entry.output));
        if (!plan_.segments.empty() && plan_.segments.back().kind == SegmentKind::frame && !loop_segment_.back())
            return plan_.segments.size() - 1;
        return append(SegmentKind::frame, 0);
    }

    // The first tiled segment over `rows` rows in which all inputs are made or made before; a new one if there is none.
    size_t place(const Entry& entry, size_t rows) {
        int earliest = 0;
        for (const int input : entry.inputs) earliest = std::max(earliest, plan_.segment[static_cast<size_t>(input)]);
        for (size_t s = static_cast<size_t>(earliest); s < plan_.segments.size(); ++s)
            if (plan_.segments[s].kind == SegmentKind::tiled && plan_.segments[s].rows == rows) return s;
        return append(SegmentKind::tiled, rows);
    }

    size_t append(SegmentKind kind, size_t rows) {
        Segment segment;
        segment.kind = kind;
        segment.rows = rows;
        plan_.segments.push_back(std::move(segment));
        loop_segment_.push_back(open_loop_ >= 0);
        return plan_.segments.size() - 1;
    }

    void mark_shared(const std::vector<int>& outputs) {
        for (const int value : outputs) plan_.shared[static_cast<size_t>(value)] = true;
        for (size_t s = 0; s < plan_.segments.size(); ++s)
            for (const auto* list : {&plan_.segments[s].constant, &plan_.segments[s].stepping})
                for (const Entry& entry : *list)
                    for (const int input : entry.inputs)
                        if (plan_.segment[static_cast<size_t>(input)] != static_cast<int>(s))
                            plan_.shared[static_cast<size_t>(input)] = true;
    }

    void finish(Segment& segment) {
        if (segment.kind == SegmentKind::tiled) {
            segment.tile_rows = choose_tile(segment.rows, row_bytes(segment), joined_rows(segment));
            return;
        }
        segment.tile_rows = segment.rows;
        if (segment.kind != SegmentKind::single || segment.stepping.empty()) return;
        const Entry& entry = segment.stepping.front();
        segment.batched = entry.fused < 0 && steps_[entry.step].op->batchable();
        for (const int input : entry.inputs)  // rows of several steps must follow each other
            if (plan_.constant[static_cast<size_t>(input)]) segment.batched = false;
        if (segment.batched) plan_.shared[static_cast<size_t>(entry.value)] = true;
    }

    size_t row_bytes(const Segment& segment) const {
        size_t bytes = 0;
        for (const auto* list : {&segment.constant, &segment.stepping})
            for (const Entry& entry : *list) {
                const ValueType& type = types_[static_cast<size_t>(entry.value)];
                if (!plan_.shared[static_cast<size_t>(entry.value)]) bytes += value_bytes(plan_, types_, entry.value);
                for (const OpState& state : last(entry).states)
                    if (state.dtype == Dtype::f32) bytes += type.stride() * sizeof(float);
            }
        return std::max<size_t>(bytes, 1);
    }

    size_t joined_rows(const Segment& segment) const {
        size_t joined = 1;  // divides the segment's rows, as each operator's does
        for (const auto* list : {&segment.constant, &segment.stepping})
            for (const Entry& entry : *list) joined = std::lcm(joined, last(entry).joined_rows());
        return joined;
    }

    // The operator whose output the entry makes.
    const Op& last(const Entry& entry) const {
        return *steps_[entry.fused < 0 ? entry.step : static_cast<size_t>(entry.fused)].op;
    }

    static size_t choose_tile(size_t rows, size_t bytes_per_row, size_t joined) {
        const size_t fitting = std::max<size_t>(kTileBytes / bytes_per_row, 1), unit = std::lcm(joined, size_t{8});
        if (fitting >= unit) return std::min(rows, fitting / unit * unit);
        return std::min(rows, std::max<size_t>(fitting / joined, 1) * joined);
    }

    const std::vector<Step>& steps_;
    const std::vector<ValueType>& types_;
    bool points_;
    std::vector<int> partner_;        // by step, -1 for none
    std::vector<int> loop_;           // by step: first step of its cycle, -1 for none
    std::vector<bool> lasting_;       // by step
    std::vector<bool> loop_segment_;  // by segment
    int open_loop_ = -1;
    Plan plan_;
};

}  // namespace

Plan make_plan(const ModelSpec& spec, const std::vector<Step>& steps, const std::vector<ValueType>& types,
               const std::vector<int>& outputs, bool fuse) {
    return Planner(spec, steps, types).make(outputs, fuse);
}

namespace {

// By value: the last segment in which it is needed. What is kept, and the input, are needed after all of them.
std::vector<size_t> last_uses(const Plan& plan, size_t values, const std::vector<int>& kept) {
    std::vector<size_t> last(values, 0);
    for (size_t s = 0; s < plan.segments.size(); ++s)
        for (const auto* list : {&plan.segments[s].constant, &plan.segments[s].stepping})
            for (const Entry& entry : *list) {
                last[static_cast<size_t>(entry.value)] = std::max(last[static_cast<size_t>(entry.value)], s);
                for (const int input : entry.inputs) last[static_cast<size_t>(input)] = s;
            }
    last[0] = plan.segments.size();
    for (const int value : kept) last[static_cast<size_t>(value)] = plan.segments.size();
    return last;
}

// Values that all threads see, in the order in which they are made.
std::vector<size_t> shared_values(const Plan& plan, const std::vector<ValueType>& types, const Layout& layout) {
    std::vector<size_t> values;
    for (size_t v = 0; v < types.size(); ++v)
        if (layout.values[v].row_bytes != 0 && !layout.values[v].local) values.push_back(v);
    std::stable_sort(values.begin(), values.end(),
                     [&plan](size_t a, size_t b) { return plan.segment[a] < plan.segment[b]; });
    return values;
}

}  // namespace

Layout make_layout(const Plan& plan, const std::vector<ValueType>& types, const std::vector<int>& kept) {
    Layout layout;
    layout.values.resize(types.size());
    const std::vector<size_t> last = last_uses(plan, types.size(), kept);
    std::vector<size_t> tile_bytes(plan.segments.size(), 0);
    for (size_t v = 0; v < types.size(); ++v) {
        if (types[v].kind == Kind::window || (v != 0 && plan.segment[v] < 0)) continue;  // made nowhere
        Place& at = layout.values[v];
        at.row_bytes = value_bytes(plan, types, static_cast<int>(v));
        at.local = !plan.shared[v] && last[v] != plan.segments.size();
        const size_t one = types[v].rows() * at.row_bytes;
        if (!at.local) {
            at.step_bytes = plan.constant[v] ? 0 : one;
            continue;
        }
        const Segment& segment = plan.segments[static_cast<size_t>(plan.segment[v])];
        size_t& used = tile_bytes[static_cast<size_t>(plan.segment[v])];
        at.offset = used;
        used += round_up(segment.kind == SegmentKind::tiled ? segment.tile_rows * at.row_bytes : one, 64);
    }
    Arena arena;
    for (const size_t v : shared_values(plan, types, layout)) {
        Place& at = layout.values[v];
        const size_t one = types[v].rows() * at.row_bytes, first = static_cast<size_t>(std::max(plan.segment[v], 0));
        at.offset = arena.place(round_up(plan.constant[v] ? one : one * plan.chunk_steps, 64), first, last[v]);
        if (arena.bytes() > kMaxWorkspace)
            throw Error(ErrorKind::model, "model needs too much memory", describe(types[v]), "", "at most 8 GiB");
    }
    layout.bytes = arena.bytes();
    layout.local_bytes = tile_bytes.empty() ? 0 : *std::max_element(tile_bytes.begin(), tile_bytes.end());
    if (layout.local_bytes > kMaxWorkspace)
        throw Error(ErrorKind::model, "model needs too much memory", "values of a step", "", "at most 8 GiB");
    return layout;
}

}  // namespace edgesnn::executor
