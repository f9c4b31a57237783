// The operators by name. Add a line here, edgesnn/graph/operators/<name>.py and
// edgesnn/runtime/backends/reference/<name>.py.
#include "executor/op.hpp"

namespace edgesnn::executor {

std::unique_ptr<Op> make_add(const NodeView& view);
std::unique_ptr<Op> make_lif(const NodeView& view);
std::unique_ptr<Op> make_linear(const NodeView& view);
std::unique_ptr<Op> make_max(const NodeView& view);
std::unique_ptr<Op> make_point_code(const NodeView& view);
std::unique_ptr<Op> make_vote(const NodeView& view);

const OpEntry* operators() noexcept {
    static constexpr OpEntry entries[] = {
        {"add", make_add},
        {"lif", make_lif},
        {"linear", make_linear},
        {"max", make_max},
        {"point_code", make_point_code},
        {"vote", make_vote},
        {nullptr, nullptr},
    };
    return entries;
}

}  // namespace edgesnn::executor
