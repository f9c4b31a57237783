// A saved state with departures (cut, other types and shapes, other bytes, names) into sessions of fixed models: load
// refuses it and changes nothing, or takes it and the session goes on.
#include <algorithm>

#include "exercise.hpp"
#include "tests/small_models.hpp"

using namespace edgesnn;
using namespace edgesnn::executor;

namespace {

const std::vector<std::shared_ptr<const Model>>& models() {
    static const std::vector<std::shared_ptr<const Model>> all{small_models::spikepoint(), small_models::recurrent(),
                                                               small_models::integers(), small_models::tokens()};
    return all;
}

// `steps` steps of inputs that only depend on their number.
void go_on(Session& session, size_t steps, fuzz::Outputs& outputs) {
    const ValueType& type = session.model().type(0);
    if (type.kind == Kind::window) {
        const encode::PointWindow window = small_models::window(3);
        for (size_t t = 0; t < steps; ++t) session.step(window, outputs);
        session.run(window, outputs);
        return;
    }
    std::vector<uint8_t> array(steps * elements(type.shape) * type.item_size());
    for (size_t i = 0; i < array.size(); i += type.item_size())
        array[i] = static_cast<uint8_t>(i % 7 % static_cast<size_t>(type.bound + 1));
    session.run(ArraySource(type, array.data()), steps, outputs);
}

void depart(StateTensor& tensor, fuzz::Bytes& bytes) {
    static constexpr const char* kTypes[] = {"<i8", "<u4", "<i4", "<f4", "|u1", ""};
    switch (bytes.below(6)) {
        case 0:
            tensor.dtype = bytes.pick(kTypes);
            return;
        case 1:
            tensor.shape.push_back(bytes.number());
            return;
        case 2:
            tensor.bytes.resize(bytes.byte());
            return;
        case 3: {  // other bits everywhere
            fuzz::Stream stream(bytes.byte());
            for (uint8_t& byte : tensor.bytes) byte = static_cast<uint8_t>(stream.next());
            return;
        }
        case 4: {  // one extreme number everywhere
            const int64_t number = bytes.number();
            const size_t item = tensor.dtype.empty() ? 1 : static_cast<size_t>(tensor.dtype.back() - '0');
            for (size_t i = 0; item <= 8 && i + item <= tensor.bytes.size(); i += item)
                std::memcpy(tensor.bytes.data() + i, &number, item);
            return;
        }
        default:
            for (uint8_t& byte : tensor.bytes) byte = bytes.byte();
    }
}

StateTensors depart(StateTensors tensors, fuzz::Bytes& bytes) {
    for (size_t count = 1 + bytes.below(4); count > 0; --count) {
        auto it = tensors.begin();
        std::advance(it, static_cast<int64_t>(bytes.below(std::max<size_t>(tensors.size(), 1))));
        if (it == tensors.end()) return tensors;
        switch (bytes.below(8)) {
            case 0:
                tensors.erase(it);
                break;
            case 1:
                tensors["session/more"] = it->second;
                break;
            default:
                depart(it->second, bytes);
        }
    }
    return tensors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    const std::shared_ptr<const Model>& model = models()[bytes.below(models().size())];
    Session session(model), twin(model);
    fuzz::Outputs before, one, two;
    go_on(session, bytes.below(20), before);
    const StateTensors own = fuzz::saved(session), departed = depart(own, bytes);
    try {
        session.load(StateReader(departed, "session"));
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong snapshot is another kind of error");
        fuzz::must(fuzz::same(fuzz::saved(session), own), "a refused snapshot changes the state");
        return 0;
    }
    twin.load(StateReader(fuzz::saved(session), "session"));
    go_on(session, 3, one);
    go_on(twin, 1, two);
    go_on(session, 17, one);
    return 0;
}
