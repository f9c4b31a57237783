#include "executor/plan.hpp"

#include <algorithm>

namespace edgesnn::executor {
namespace {

constexpr size_t kTileBytes = 128 << 10;  // of values and states in a tile; tuned by bench/spikepoint.py
constexpr size_t kDenseSteps = 16;        // steps of a chunk where the input does not say
constexpr size_t kMaxBytes = size_t{1} << 33;

// The first segment over `rows` rows in which all inputs are made or made before; a new one if there is none.
size_t place(Plan& plan, const Entry& entry, size_t rows) {
    int earliest = 0;
    for (const int input : entry.inputs) earliest = std::max(earliest, plan.segment[static_cast<size_t>(input)]);
    for (size_t s = static_cast<size_t>(earliest); s < plan.segments.size(); ++s)
        if (plan.segments[s].rows == rows) return s;
    plan.segments.push_back({rows, 0, {}, {}});
    return plan.segments.size() - 1;
}

void mark_shared(Plan& plan, const std::vector<int>& outputs) {
    for (const int value : outputs) plan.shared[static_cast<size_t>(value)] = true;
    for (size_t s = 0; s < plan.segments.size(); ++s)
        for (const auto* list : {&plan.segments[s].constant, &plan.segments[s].stepping})
            for (const Entry& entry : *list)
                for (const int input : entry.inputs)
                    if (plan.segment[static_cast<size_t>(input)] != static_cast<int>(s))
                        plan.shared[static_cast<size_t>(input)] = true;
}

size_t row_bytes(const Segment& segment, const Plan& plan, const std::vector<std::unique_ptr<Op>>& ops,
                 const std::vector<ValueType>& types) {
    size_t bytes = 0;
    for (const auto* list : {&segment.constant, &segment.stepping})
        for (const Entry& entry : *list) {
            const ValueType& type = types[static_cast<size_t>(entry.value)];
            if (!plan.shared[static_cast<size_t>(entry.value)]) bytes += type.stride() * type.item_size();
            for (const OpState& state : ops[entry.node]->states)
                if (state.dtype == Dtype::f32) bytes += type.stride() * sizeof(float);
        }
    return std::max<size_t>(bytes, 1);
}

size_t choose_tile(size_t rows, size_t bytes_per_row) {
    const size_t fitting = std::max<size_t>(kTileBytes / bytes_per_row, 1);
    return std::min(rows, fitting < 8 ? fitting : fitting / 8 * 8);
}

}  // namespace

Plan make_plan(const ModelSpec& spec, const std::vector<std::unique_ptr<Op>>& ops, const std::vector<ValueType>& types,
               const std::vector<std::vector<int>>& node_inputs, const std::vector<int>& outputs) {
    const bool points = spec.input.kind == "points";
    Plan plan;
    plan.constant.assign(types.size(), points);
    plan.segment.assign(types.size(), -1);
    plan.shared.assign(types.size(), false);
    plan.shared[0] = true;
    plan.chunk_steps = points ? static_cast<size_t>(spec.input.steps) : kDenseSteps;
    int value = 1;
    for (size_t node = 0; node < ops.size(); ++node)
        for (size_t output = 0; output < ops[node]->outputs.size(); ++output, ++value) {
            const size_t rows = ops[node]->rows(output), v = static_cast<size_t>(value);
            const Entry entry{node, output, node_inputs[node], value};
            bool constant = ops[node]->steady();
            for (const int input : entry.inputs) constant = constant && plan.constant[static_cast<size_t>(input)];
            const size_t s = place(plan, entry, rows);
            plan.constant[v] = constant;
            plan.segment[v] = static_cast<int>(s);
            plan.shared[v] = rows != types[v].rows();  // its rows are not the tile's
            (constant ? plan.segments[s].constant : plan.segments[s].stepping).push_back(entry);
        }
    mark_shared(plan, outputs);
    for (Segment& segment : plan.segments)
        segment.tile_rows = choose_tile(segment.rows, row_bytes(segment, plan, ops, types));
    return plan;
}

Layout make_layout(const Plan& plan, const std::vector<ValueType>& types, const std::vector<int>& kept) {
    Layout layout;
    layout.values.resize(types.size());
    std::vector<size_t> tile_bytes(plan.segments.size(), 0);
    for (size_t v = 0; v < types.size(); ++v) {
        if (types[v].kind == Kind::window) continue;
        Place& at = layout.values[v];
        at.row_bytes = types[v].stride() * types[v].item_size();
        at.local = !plan.shared[v] && std::find(kept.begin(), kept.end(), static_cast<int>(v)) == kept.end();
        if (at.local) {
            size_t& used = tile_bytes[static_cast<size_t>(plan.segment[v])];
            at.offset = used;
            used += round_up(plan.segments[static_cast<size_t>(plan.segment[v])].tile_rows * at.row_bytes, 64);
            continue;
        }
        at.offset = layout.bytes;
        const size_t one = round_up(types[v].rows() * at.row_bytes, 64);
        at.step_bytes = plan.constant[v] ? 0 : one;
        layout.bytes += plan.constant[v] ? one : one * plan.chunk_steps;
        if (layout.bytes > kMaxBytes)
            throw Error(ErrorKind::model, "model needs too much memory", describe(types[v]), "", "at most 8 GiB");
    }
    for (Place& at : layout.values)
        if (at.local) at.offset += layout.bytes;
    layout.bytes += tile_bytes.empty() ? 0 : *std::max_element(tile_bytes.begin(), tile_bytes.end());
    return layout;
}

}  // namespace edgesnn::executor
