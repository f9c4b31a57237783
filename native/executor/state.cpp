#include "executor/state.hpp"

#include <cmath>
#include <cstring>

namespace edgesnn::executor {
namespace {

constexpr size_t kMaxRank = 16;  // a value has at most 8 axes

// Calls visit(place in memory) for every element, in C order of the shape.
template <typename Visit>
void each_element(const StateView& view, Visit visit) {
    const Shape& shape = view.spec->shape;
    int64_t index[kMaxRank] = {};
    auto* data = static_cast<uint8_t*>(view.data);
    for (size_t left = elements(shape); left-- > 0;) {
        visit(data);
        for (size_t axis = shape.size(); axis-- > 0;) {
            data += view.strides[axis];
            if (++index[axis] < shape[axis]) break;
            data -= view.strides[axis] * static_cast<size_t>(shape[axis]);
            index[axis] = 0;
        }
    }
}

template <typename T>
void fill_all(const StateView& view) noexcept {
    const T value = static_cast<T>(view.spec->initial);
    each_element(view, [&](uint8_t* at) { std::memcpy(at, &value, sizeof(value)); });
}

template <typename T>
void check_all(const StateView& view, const StateTensor& tensor) {
    for (size_t i = 0; i < tensor.bytes.size(); i += sizeof(T)) {
        T value;
        std::memcpy(&value, tensor.bytes.data() + i, sizeof(value));
        if (value < view.limits.low || value > view.limits.high)
            throw Error(ErrorKind::model, "snapshot's state is out of range", view.spec->name, std::to_string(value),
                        std::to_string(view.limits.low) + " to " + std::to_string(view.limits.high));
    }
}

void check_limits(const StateView& view, const StateTensor& tensor) {
    if (view.spec->dtype == Dtype::i64) check_all<int64_t>(view, tensor);
    if (view.spec->dtype == Dtype::i32) check_all<int32_t>(view, tensor);
    if (view.spec->dtype == Dtype::u8) check_all<uint8_t>(view, tensor);
}

const char* dtype_name(Dtype dtype) {
    return dtype == Dtype::f32   ? state_dtype<float>()
           : dtype == Dtype::i32 ? state_dtype<int32_t>()
           : dtype == Dtype::i64 ? state_dtype<int64_t>()
                                 : state_dtype<uint8_t>();
}

}  // namespace

StateView lay_state(const StateSpec& spec, const OpState& state) {
    const size_t item = item_size(spec.dtype);
    if (spec.shape.empty()) return {&spec, nullptr, {}, kStateAlignment, state.limits};
    const ValueType type{Kind::real, Shape(spec.shape.begin() + static_cast<int64_t>(state.leading), spec.shape.end()),
                         0, state.last};
    std::vector<size_t> strides(spec.shape.size());
    size_t next = type.last ? type.stride() : 1;  // elements from one index to the next of the last axis
    for (size_t i = spec.shape.size(); i-- > state.leading + (type.last ? 1 : 0);) {
        strides[i] = next * item;
        next *= i + 1 == spec.shape.size() && !type.last ? type.stride() : static_cast<size_t>(spec.shape[i]);
    }
    if (type.last) strides[state.leading] = item;
    size_t bytes = type.rows() * type.stride() * item;
    for (size_t i = state.leading; i-- > 0;) {
        strides[i] = bytes;
        bytes *= static_cast<size_t>(spec.shape[i]);
    }
    return {&spec, nullptr, strides, round_up(bytes, kStateAlignment), state.limits};
}

void initialise(const StateView& view) noexcept {
    std::memset(view.data, 0, view.bytes);
    if (view.spec->initial == 0 && !std::signbit(view.spec->initial)) return;
    if (view.spec->dtype == Dtype::f32) fill_all<float>(view);
    if (view.spec->dtype == Dtype::i32) fill_all<int32_t>(view);
    if (view.spec->dtype == Dtype::i64) fill_all<int64_t>(view);
    if (view.spec->dtype == Dtype::u8) fill_all<uint8_t>(view);
}

void put_state(StateWriter& writer, const StateView& view) {
    const size_t item = item_size(view.spec->dtype);
    StateTensor tensor{dtype_name(view.spec->dtype), view.spec->shape, {}};
    tensor.bytes.resize(elements(view.spec->shape) * item);
    uint8_t* to = tensor.bytes.data();
    each_element(view, [&](const uint8_t* at) {
        std::memcpy(to, at, item);
        to += item;
    });
    writer.put(view.spec->name, std::move(tensor));
}

void check_state(const StateReader& reader, const StateView& view) {
    const StateTensor& tensor = reader.find(view.spec->name);
    if (tensor.dtype != dtype_name(view.spec->dtype) || tensor.shape != view.spec->shape ||
        tensor.bytes.size() != elements(view.spec->shape) * item_size(view.spec->dtype))
        throw Error(ErrorKind::model, "snapshot tensor has another shape or type", view.spec->name, tensor.dtype);
    check_limits(view, tensor);
}

void get_state(const StateReader& reader, const StateView& view) {
    const size_t item = item_size(view.spec->dtype);
    const uint8_t* from = reader.find(view.spec->name).bytes.data();
    each_element(view, [&](uint8_t* at) {
        std::memcpy(at, from, item);
        from += item;
    });
}

}  // namespace edgesnn::executor
