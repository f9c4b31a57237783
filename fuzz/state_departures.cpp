#include "state_departures.hpp"

#include <algorithm>

namespace edgesnn::fuzz {
namespace {

// Of what an element holds; 1 where the type is none.
size_t item_of(const StateTensor& tensor) {
    const size_t item = tensor.dtype.empty() ? 1 : static_cast<size_t>(tensor.dtype.back() - '0');
    return item == 2 || item == 4 || item == 8 ? item : 1;
}

void set(StateTensor& tensor, size_t index, int64_t number) {
    const size_t item = item_of(tensor), at = index * item;
    if (at + item <= tensor.bytes.size()) std::memcpy(tensor.bytes.data() + at, &number, item);
}

void depart_type(StateTensor& tensor, Bytes& bytes) {
    static constexpr const char* kTypes[] = {"<i8", "<u4", "<i4", "<f4", "|u1", ""};
    tensor.dtype = bytes.pick(kTypes);
}

void depart_bytes(StateTensor& tensor, Bytes& bytes) {
    const size_t count = tensor.bytes.size() / item_of(tensor);
    switch (bytes.below(5)) {
        case 0: {  // other bits everywhere
            Stream stream(bytes.byte());
            for (uint8_t& byte : tensor.bytes) byte = static_cast<uint8_t>(stream.next());
            return;
        }
        case 1: {  // one number everywhere
            const int64_t number = bytes.number();
            for (size_t i = 0; i < count; ++i) set(tensor, i, number);
            return;
        }
        case 2:  // as the input says
            for (size_t i = 0; i < std::min<size_t>(tensor.bytes.size(), 64); ++i) tensor.bytes[i] = bytes.byte();
            return;
        default:  // one number at one place
            const size_t at = bytes.byte();
            if (count != 0) set(tensor, at % count, bytes.number());
    }
}

void depart(StateTensor& tensor, Bytes& bytes) {
    switch (bytes.below(8)) {
        case 0:
            return depart_type(tensor, bytes);
        case 1:
            tensor.shape.push_back(bytes.number());
            return;
        case 2:
            tensor.bytes.resize(bytes.byte());
            return;
        case 3: {  // longer or shorter by whole elements
            const size_t item = item_of(tensor), size = tensor.bytes.size();
            tensor.bytes.resize(bytes.flag() ? size + item * bytes.below(32)
                                             : size - std::min(size, item * bytes.below(32)));
            return;
        }
        default:
            depart_bytes(tensor, bytes);
    }
}

}  // namespace

StateTensors depart(StateTensors tensors, Bytes& bytes) {
    for (size_t count = 1 + bytes.below(4); count > 0 && !tensors.empty(); --count) {
        auto it = tensors.begin();
        std::advance(it, static_cast<int64_t>(bytes.below(tensors.size())));
        switch (bytes.below(16)) {
            case 0:
                tensors.erase(it);
                break;
            case 1:
                tensors[it->first + "more"] = it->second;
                break;
            case 2:
                tensors["more" + it->first] = it->second;
                break;
            default:
                depart(it->second, bytes);
        }
    }
    return tensors;
}

}  // namespace edgesnn::fuzz
