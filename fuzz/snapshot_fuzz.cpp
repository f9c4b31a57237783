// A saved state with departures into sessions of fixed models, of all reset policies: load refuses it and changes
// nothing, or takes it, and the session and another that loads what it saves go on alike.
#include "exercise.hpp"
#include "state_departures.hpp"
#include "tests/small_models.hpp"

using namespace edgesnn;
using namespace edgesnn::executor;

namespace {

constexpr size_t kStates = 20;  // saved of each model: after so many steps
constexpr small_models::Sizes kSizes{3, 2};

// `steps` steps of inputs that only depend on their number.
void go_on(Session& session, size_t steps, fuzz::Outputs& outputs) {
    const ValueType& type = session.model().type(0);
    if (type.kind == Kind::window) {
        static const encode::PointWindow window = small_models::window(3, kSizes);
        for (size_t t = 0; t < steps; ++t) session.step(window, outputs);
        return;
    }
    std::vector<uint8_t> array(steps * elements(type.shape) * type.item_size());
    for (size_t i = 0; i < array.size(); i += type.item_size())
        array[i] = static_cast<uint8_t>(i % 7 % static_cast<size_t>(type.bound + 1));
    session.run(ArraySource(type, array.data()), steps, outputs);
}

struct Fixed {
    std::shared_ptr<const Model> model;
    std::vector<StateTensors> states;

    explicit Fixed(std::shared_ptr<const Model> made) : model(std::move(made)) {
        Session session(model);
        for (size_t i = 0; i < kStates; ++i) {
            states.push_back(fuzz::saved(session));
            fuzz::Outputs outputs;
            go_on(session, 1, outputs);
        }
    }
};

const std::vector<Fixed>& fixed() {
    static const std::vector<Fixed> all = [] {
        std::vector<Fixed> made;
        const std::vector<std::vector<small_models::Text>> resets{
            {"window"}, {"window", "never", "line", "tokens"}, {"never"}};
        for (const auto& policies : resets)
            for (const auto& model : {small_models::spikepoint(kSizes), small_models::recurrent(4, 5),
                                      small_models::integers(), small_models::tokens()})
                made.emplace_back(small_models::with_resets(*model, policies));
        return made;
    }();
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const Fixed& chosen = fixed()[bytes.below(fixed().size())];
    const StateTensors& own = chosen.states[bytes.below(kStates)];
    const size_t steps = bytes.below(16) == 15 ? 18 : 1 + bytes.below(3);  // more than a chunk, or a few
    const StateTensors departed = fuzz::depart(own, bytes);
    Session session(chosen.model);
    session.load(StateReader(own, "session"));
    try {
        session.load(StateReader(departed, "session"));
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong snapshot is another kind of error");
        fuzz::must(fuzz::same(fuzz::saved(session), own), "a refused snapshot changes the state");
        return 0;
    }
    Session twin(chosen.model);
    twin.load(StateReader(fuzz::saved(session), "session"));
    if (bytes.flag()) fuzz::new_window(chosen.model, session), fuzz::new_window(chosen.model, twin);
    fuzz::Outputs one, two;
    go_on(session, steps, one);
    go_on(twin, steps, two);
    fuzz::must(one.bytes() == two.bytes(), "a session that was saved and loaded goes on otherwise");
    fuzz::must(fuzz::same(fuzz::saved(session), fuzz::saved(twin)), "a saved session's state becomes another");
    return 0;
}
