// A window of events as one dense array: frames of counts, a voxel grid, a surface of times, points. docs/encoders.md
// says what each computes; tests/property/encoder_reference.py says each once more in plain Python.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/span.hpp"
#include "base/state_io.hpp"
#include "encode/encoder.hpp"

namespace edgesnn::encode {

enum class Element { u8, u16, i32, f32 };

// A window as the cutter gives it: times rise and lie in [t0_us, t1_us].
struct ArrayWindow {
    Span<const Event> events;
    int64_t t0_us = 0;
    int64_t t1_us = 0;
    uint64_t first_event = 0;  // index in the stream of events[0]
};

class ArrayEncoder {
  public:
    virtual ~ArrayEncoder() = default;
    const std::vector<int64_t>& shape() const noexcept { return shape_; }
    Element element() const noexcept { return element_; }
    int64_t elements() const noexcept;

    // Writes every element of `out`, which has room for elements(). Events lie inside the sensor that the encoder was
    // made for. Not for two threads at a time.
    virtual void encode(const ArrayWindow& window, void* out) = 0;
    // What earlier windows left, for a snapshot; load throws Error{model} on what cannot be, and changes nothing then.
    virtual void save(StateWriter&) const {}
    virtual void load(const StateReader&) {}

  protected:
    // Throws Error{usage} on an array that is too large.
    ArrayEncoder(std::vector<int64_t> shape, Element element);

  private:
    std::vector<int64_t> shape_;
    Element element_;
};

// Parameters as edgesnn/encode/registry.py describes them: durations in microseconds, a choice by its place.
using ArrayParameters = std::map<std::string, int64_t>;

// Throws Error{usage} on an unknown name or an impossible parameter.
std::unique_ptr<ArrayEncoder> make_array_encoder(const std::string& name, const ArrayParameters& parameters,
                                                 Sensor sensor);

// Of make_array_encoder: one file each.
std::unique_ptr<ArrayEncoder> make_frames(const ArrayParameters& parameters, Sensor sensor);
std::unique_ptr<ArrayEncoder> make_points(const ArrayParameters& parameters, Sensor sensor);
std::unique_ptr<ArrayEncoder> make_surface(const ArrayParameters& parameters, Sensor sensor);
std::unique_ptr<ArrayEncoder> make_voxel(const ArrayParameters& parameters, Sensor sensor);

int64_t parameter(const ArrayParameters& parameters, const char* name, int64_t low, int64_t high);

}  // namespace edgesnn::encode
