// The operators by name. Add a line here, edgesnn/graph/operators/<name>.py and
// edgesnn/runtime/backends/reference/<name>.py.
#include "executor/op.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_accumulate(const NodeView& view);
std::unique_ptr<Op> make_activation(const NodeView& view);
std::unique_ptr<Op> make_add(const NodeView& view);
std::unique_ptr<Op> make_concat(const NodeView& view);
std::unique_ptr<Op> make_conv1d(const NodeView& view);
std::unique_ptr<Op> make_conv2d(const NodeView& view);
std::unique_ptr<Op> make_count(const NodeView& view);
std::unique_ptr<Op> make_cuba(const NodeView& view);
std::unique_ptr<Op> make_delay(const NodeView& view);
std::unique_ptr<Op> make_embedding(const NodeView& view);
std::unique_ptr<Op> make_gather(const NodeView& view);
std::unique_ptr<Op> make_layer_norm(const NodeView& view);
std::unique_ptr<Op> make_lif(const NodeView& view);
std::unique_ptr<Op> make_linear(const NodeView& view);
std::unique_ptr<Op> make_max(const NodeView& view);
std::unique_ptr<Op> make_mean(const NodeView& view);
std::unique_ptr<Op> make_multiply(const NodeView& view);
std::unique_ptr<Op> make_point_code(const NodeView& view);
std::unique_ptr<Op> make_pool1d(const NodeView& view);
std::unique_ptr<Op> make_pool2d(const NodeView& view);
std::unique_ptr<Op> make_reshape(const NodeView& view);
std::unique_ptr<Op> make_scale(const NodeView& view);
std::unique_ptr<Op> make_slice(const NodeView& view);
std::unique_ptr<Op> make_softmax(const NodeView& view);
std::unique_ptr<Op> make_token_shift(const NodeView& view);
std::unique_ptr<Op> make_vote(const NodeView& view);
std::unique_ptr<Op> make_wkv(const NodeView& view);

const OpEntry* operators() noexcept {
    static constexpr OpEntry entries[] = {
        {"accumulate", make_accumulate, Accepts::any},
        {"activation", make_activation, Accepts::any},
        {"add", make_add, Accepts::any},
        {"concat", make_concat, Accepts::any},
        {"conv1d", make_conv1d, Accepts::any},
        {"conv2d", make_conv2d, Accepts::any},
        {"count", make_count, Accepts::any},
        {"cuba", make_cuba, Accepts::any},
        {"delay", make_delay, Accepts::any},
        {"embedding", make_embedding, Accepts::plain},
        {"gather", make_gather, Accepts::any},
        {"layer_norm", make_layer_norm, Accepts::plain},
        {"lif", make_lif, Accepts::any},
        {"linear", make_linear, Accepts::plain},
        {"max", make_max, Accepts::plain},
        {"mean", make_mean, Accepts::plain},
        {"multiply", make_multiply, Accepts::any},
        {"point_code", make_point_code, Accepts::plain},
        {"pool1d", make_pool1d, Accepts::any},
        {"pool2d", make_pool2d, Accepts::any},
        {"reshape", make_reshape, Accepts::any},
        {"scale", make_scale, Accepts::any},
        {"slice", make_slice, Accepts::any},
        {"softmax", make_softmax, Accepts::plain},
        {"token_shift", make_token_shift, Accepts::plain},
        {"vote", make_vote, Accepts::plain},
        {"wkv", make_wkv, Accepts::plain},
        {nullptr, nullptr, Accepts::plain},
    };
    return entries;
}

}  // namespace edgesnn::executor
