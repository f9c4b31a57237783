// Bytes in, arrays out: what every binding of a stream needs.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <vector>

#include "base/event.hpp"
#include "base/span.hpp"

namespace edgesnn::bindings {

// A contiguous buffer of a Python object, held while this lives. Throws TypeError or BufferError.
class ByteView {
  public:
    explicit ByteView(const pybind11::handle& object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw pybind11::error_already_set();
    }
    ~ByteView() { PyBuffer_Release(&view_); }
    ByteView(const ByteView&) = delete;
    ByteView& operator=(const ByteView&) = delete;

    Span<const uint8_t> bytes() const noexcept {
        return {static_cast<const uint8_t*>(view_.buf), static_cast<size_t>(view_.len)};
    }

  private:
    Py_buffer view_{};
};

// Arrays of edgesnn.EVENT and edgesnn.events.types.TRIGGER that own the vector's memory: no copy.
pybind11::array event_array(std::vector<Event>&& events);
pybind11::array event_array(std::vector<Event>&& events, size_t count);  // the first of them
pybind11::array trigger_array(std::vector<Trigger>&& triggers);

}  // namespace edgesnn::bindings
