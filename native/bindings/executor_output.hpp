// Where the outputs of a session's calls go: new arrays of Python, or one that the caller gave.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/executor_input.hpp"
#include "executor/session.hpp"

namespace edgesnn::bindings {

inline pybind11::dtype dtype_of(executor::Kind kind) {
    if (kind == executor::Kind::integer) return pybind11::dtype::of<uint8_t>();
    return kind == executor::Kind::wide ? pybind11::dtype::of<int32_t>() : pybind11::dtype::of<float>();
}

// New arrays [kept, ...] for some values, filled as the steps come: those of the last `kept` of `steps` steps.
class Arrays final : public executor::StepSink {
  public:
    Arrays(const executor::Model& model, const std::vector<int>& values, size_t steps)
        : Arrays(model, values, steps, std::vector<size_t>(values.size(), steps)) {}
    Arrays(const executor::Model& model, const std::vector<int>& values, size_t steps, const std::vector<size_t>& kept)
        : values_(values) {
        for (size_t i = 0; i < values_.size(); ++i) {
            const auto& type = model.type(values_[i]);
            std::vector<pybind11::ssize_t> shape{static_cast<pybind11::ssize_t>(kept[i])};
            from_.push_back(steps - kept[i]);
            shape.insert(shape.end(), type.shape.begin(), type.shape.end());
            arrays_.emplace_back(dtype_of(type.kind), shape);
            to_.push_back(static_cast<uint8_t*>(arrays_.back().mutable_data()));
            bytes_.push_back(executor::elements(type.shape) * type.item_size());
        }
    }

    void steps(const executor::Session& session, size_t first, size_t count) noexcept override {
        for (size_t i = 0; i < values_.size(); ++i)
            for (size_t t = from_[i] > first ? from_[i] - first : 0; t < count; ++t, to_[i] += bytes_[i])
                session.copy_value(values_[i], t, to_[i]);
    }

    pybind11::list list() const { return pybind11::cast(arrays_); }

  private:
    const std::vector<int>& values_;
    std::vector<pybind11::array> arrays_;
    std::vector<uint8_t*> to_;
    std::vector<size_t> bytes_, from_;  // of a step; the first step that is kept
};

// The only output of a call, small integers as int32.
class OneOutput final : public executor::StepSink {
  public:
    // Of one step: written into `out`, or a new array where that is None.
    OneOutput(const executor::Model& model, int value, const pybind11::object& out)
        : OneOutput(model.type(value), value, 1, true, out.is_none() ? array(model.type(value), {}) : out) {}

    // Of so many steps, by `keep`: "all" a new array [steps, ...], "last" that of the last step, "none" nothing.
    OneOutput(const executor::Model& model, int value, size_t steps, const std::string& keep)
        : OneOutput(model.type(value), value, steps, keep != "all",
                    keep == "none"  ? pybind11::object(pybind11::none())
                    : keep == "all" ? array(model.type(value), {static_cast<pybind11::ssize_t>(steps)})
                                    : array(model.type(value), {})) {}

    // Whether an array can be written into as it lies.
    static bool fits(const executor::ValueType& type, const pybind11::handle& out) {
        if (Py_TYPE(out.ptr()) != pybind11::detail::npy_api::get().PyArray_Type_) return false;
        const auto array = pybind11::reinterpret_borrow<pybind11::array>(out);
        return array.writeable() && lies_as(array, type.kind == executor::Kind::real ? 'f' : 'i', sizeof(int32_t)) &&
               static_cast<size_t>(array.ndim()) == type.shape.size() &&
               std::equal(type.shape.begin(), type.shape.end(), array.shape());
    }

    void steps(const executor::Session& session, size_t first, size_t count) noexcept override {
        if (data_ == nullptr || (last_ && first + count != steps_)) return;
        for (size_t t = last_ ? count - 1 : 0; t < count; ++t) put(session, t, last_ ? 0 : first + t);
    }

    pybind11::object object() { return std::move(array_); }

  private:
    OneOutput(const executor::ValueType& type, int value, size_t steps, bool last, pybind11::object out)
        : type_(type),
          value_(value),
          steps_(steps),
          last_(last),
          size_(executor::elements(type.shape)),
          array_(std::move(out)) {
        if (!array_.is_none())
            data_ = static_cast<int32_t*>(pybind11::reinterpret_borrow<pybind11::array>(array_).mutable_data());
    }

    static pybind11::object array(const executor::ValueType& type, std::vector<pybind11::ssize_t> shape) {
        shape.insert(shape.end(), type.shape.begin(), type.shape.end());
        return pybind11::array(
            type.kind == executor::Kind::real ? pybind11::dtype::of<float>() : pybind11::dtype::of<int32_t>(), shape);
    }

    void put(const executor::Session& session, size_t slot, size_t row) noexcept {
        int32_t* to = data_ + row * size_;
        session.copy_value(value_, slot, to);
        if (type_.kind != executor::Kind::integer) return;
        const auto* narrow = reinterpret_cast<const uint8_t*>(to);  // widened in place, from the end
        for (size_t i = size_; i-- > 0;) to[i] = narrow[i];
    }

    const executor::ValueType& type_;
    int value_;
    size_t steps_;
    bool last_;  // only the last step is kept
    size_t size_;
    pybind11::object array_;
    int32_t* data_ = nullptr;  // or floats, of as many bytes
};

}  // namespace edgesnn::bindings
