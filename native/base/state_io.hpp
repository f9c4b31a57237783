// What a stage or session saves and loads: named little-endian tensors. Python turns them into the tensors of a
// snapshot file (docs/snapshot.md); nothing here knows about files.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.hpp"

namespace edgesnn {

struct StateTensor {
    std::string dtype;  // numpy's: "<i8", "<u4", "<i4", "<f4", "<u2", "|u1", "|i1"
    std::vector<int64_t> shape;
    std::vector<uint8_t> bytes;
};
using StateTensors = std::map<std::string, StateTensor>;

constexpr int64_t kMostCounted = int64_t{1} << 53;  // that a snapshot may say was counted: no sum of such overflows

template <typename T>
constexpr const char* state_dtype() noexcept {
    static_assert(std::is_arithmetic_v<T>, "numbers only");
    if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? "<f4" : "<f8";
    if constexpr (std::is_signed_v<T>)
        return sizeof(T) == 8 ? "<i8" : sizeof(T) == 4 ? "<i4" : sizeof(T) == 2 ? "<i2" : "|i1";
    return sizeof(T) == 8 ? "<u8" : sizeof(T) == 4 ? "<u4" : sizeof(T) == 2 ? "<u2" : "|u1";
}

class StateWriter {
  public:
    explicit StateWriter(std::string section) : section_(std::move(section)) {}

    template <typename T>
    void put(const std::string& name, const T* data, std::vector<int64_t> shape) {
        size_t count = 1;
        for (int64_t n : shape) count *= static_cast<size_t>(n);
        StateTensor tensor{state_dtype<T>(), std::move(shape), std::vector<uint8_t>(count * sizeof(T))};
        if (count != 0) std::memcpy(tensor.bytes.data(), data, count * sizeof(T));
        tensors_[section_ + "/" + name] = std::move(tensor);
    }
    template <typename T>
    void put(const std::string& name, T value) {
        put(name, &value, {});
    }
    // A tensor as it is; its name is inside the current section.
    void put(const std::string& name, StateTensor tensor) { tensors_[section_ + "/" + name] = std::move(tensor); }
    void section(std::string name) { section_ = std::move(name); }
    const StateTensors& tensors() const noexcept { return tensors_; }

  private:
    std::string section_;
    StateTensors tensors_;
};

// Reads what a StateWriter wrote; throws Error{model} on a missing name, another dtype or another shape.
class StateReader {
  public:
    StateReader(const StateTensors& tensors, std::string section) : tensors_(tensors), section_(std::move(section)) {}

    const StateTensor& find(const std::string& name) const {
        const auto it = tensors_.find(section_ + "/" + name);
        if (it == tensors_.end()) throw Error(ErrorKind::model, "snapshot has no tensor", section_ + "/" + name);
        return it->second;
    }
    template <typename T>
    std::vector<T> get_array(const std::string& name) const {
        const StateTensor& tensor = find(name);
        if (tensor.dtype != state_dtype<T>())
            throw Error(ErrorKind::model, "snapshot tensor has another dtype", section_ + "/" + name, tensor.dtype,
                        state_dtype<T>());
        std::vector<T> values(tensor.bytes.size() / sizeof(T));
        if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(T));
        return values;
    }
    template <typename T>
    T get(const std::string& name) const {
        const std::vector<T> values = get_array<T>(name);
        if (values.size() != 1)
            throw Error(ErrorKind::model, "snapshot tensor is not a scalar", section_ + "/" + name,
                        std::to_string(values.size()) + " values", "1 value");
        return values[0];
    }
    // `count` counters, each 0 to kMostCounted.
    std::vector<int64_t> get_counts(const std::string& name, size_t count) const {
        std::vector<int64_t> counts = get_array<int64_t>(name);
        if (counts.size() != count)
            throw Error(ErrorKind::model, "snapshot has another number of counters", section_ + "/" + name,
                        std::to_string(counts.size()), std::to_string(count));
        for (const int64_t n : counts)
            if (n < 0 || n > kMostCounted)
                throw Error(ErrorKind::model, "snapshot's counter is out of range", section_ + "/" + name,
                            std::to_string(n), "0 to 2^53");
        return counts;
    }
    // The section's tensors, named without it.
    StateTensors all() const {
        StateTensors found;
        const std::string prefix = section_ + "/";
        for (const auto& [name, tensor] : tensors_)
            if (name.compare(0, prefix.size(), prefix) == 0) found[name.substr(prefix.size())] = tensor;
        return found;
    }

  private:
    const StateTensors& tensors_;
    std::string section_;
};

}  // namespace edgesnn
