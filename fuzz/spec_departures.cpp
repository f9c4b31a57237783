// Departures: attributes, tensors, wiring and ends of a graph that are not as they should be.
#include <algorithm>
#include <limits>

#include "spec_reader.hpp"

namespace edgesnn::fuzz {

using namespace executor;
using Text = std::string;

void SpecReader::depart(NodeSpec& node) {
    switch (in_.below(4)) {
        case 0:
            return depart_attribute(node);
        case 1:
            return depart_tensor(node);
        case 2:
            return depart_wiring(node);
        default:
            node.op = in_.flag() ? Text("warp") : Text(operators()[in_.below(27)].name);
    }
}

void SpecReader::depart_attribute(NodeSpec& node) {
    if (node.attributes.empty()) return;
    auto it = node.attributes.begin();
    std::advance(it, static_cast<int64_t>(in_.below(node.attributes.size())));
    static const char* const kTexts[] = {"",     "int",  "float32",  "int8",     "int32",
                                         "skip", "none", "subtract", "no_double"};
    static constexpr double kReals[] = {0.0, -1.0, 1e300, std::numeric_limits<double>::infinity(),
                                        std::numeric_limits<double>::quiet_NaN()};
    Shape list;
    switch (in_.below(6)) {
        case 0:
            it->second = in_.number();
            return;
        case 1:
            it->second = Text(in_.pick(kTexts));
            return;
        case 2:
            it->second = in_.pick(kReals);
            return;
        case 3:
            for (size_t n = in_.below(10); n > 0; --n) list.push_back(in_.number());
            it->second = list;
            return;
        case 4:
            it->second = in_.flag();
            return;
        default:
            node.attributes.erase(it);
    }
}

void SpecReader::depart_tensor(NodeSpec& node) {
    if (node.tensors.empty()) return;
    auto it = node.tensors.begin();
    std::advance(it, static_cast<int64_t>(in_.below(node.tensors.size())));
    TensorSpec& tensor = it->second;
    static const char* const kLayouts[] = {"", "vector", "im", "im4", "om16x4", "om16x8", "rows"};
    static constexpr Dtype kDtypes[] = {Dtype::i8, Dtype::u8, Dtype::i32, Dtype::f32};
    const size_t bytes = elements(tensor.stored) * item_size(tensor.dtype);
    switch (in_.below(7)) {
        case 0:
            tensor.layout = in_.pick(kLayouts);
            return;
        case 1:  // other numbers in the same bytes
            tensor.dtype = in_.pick(kDtypes);
            tensor.stored.back() =
                tensor.stored.back() * static_cast<int64_t>(bytes) /
                static_cast<int64_t>(std::max<size_t>(elements(tensor.stored), 1) * item_size(tensor.dtype));
            while (elements(tensor.stored) * item_size(tensor.dtype) > bytes) --tensor.stored.back();
            return;
        case 2:
            tensor.shape[in_.below(tensor.shape.size())] = in_.number();
            return;
        case 3:
            tensor.shape.push_back(in_.from(0, 4));
            return;
        case 4:  // less is stored
            tensor.stored[in_.below(tensor.stored.size())] -= 1;
            return;
        case 5: {  // any bytes
            auto* data = const_cast<uint8_t*>(static_cast<const uint8_t*>(tensor.data));
            Stream stream(in_.byte());
            for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(stream.next());
            return;
        }
        default:
            node.tensors.erase(it);
    }
}

void SpecReader::depart_wiring(NodeSpec& node) {
    const Value& any = values_[in_.below(values_.size())];
    switch (in_.below(6)) {
        case 0:
            if (!node.inputs.empty()) node.inputs[in_.below(node.inputs.size())] = any.name;
            return;
        case 1:
            for (size_t n = in_.below(10); n > 0; --n) node.inputs.push_back(any.name);
            return;
        case 2:
            node.inputs.clear();
            return;
        case 3:
            node.inputs.push_back("n" + std::to_string(in_.below(14)));  // made later, or never
            return;
        case 4:
            node.outputs.push_back(any.name);
            return;
        default:
            node.outputs.clear();
    }
}

void SpecReader::depart_ends() {
    switch (in_.below(6)) {
        case 0:
            spec_.outputs.push_back("nothing");
            return;
        case 1:
            spec_.outputs.clear();
            return;
        case 2:
            spec_.readout = "input";
            return;
        case 3:
            if (!spec_.states.empty()) spec_.states.pop_back();
            return;
        case 4:
            if (!spec_.states.empty()) spec_.states[in_.below(spec_.states.size())].shape.push_back(in_.number());
            return;
        default:
            if (!spec_.states.empty()) spec_.states[in_.below(spec_.states.size())].reset = in_.flag() ? "" : "always";
    }
}

}  // namespace edgesnn::fuzz
