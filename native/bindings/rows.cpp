// _native.events.pack_rows: columns of numbers as events.
#include "events/decode/rows.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/buffers.hpp"
#include "bindings/decoding.hpp"
#include "bindings/event_memory.hpp"

namespace py = pybind11;

namespace edgesnn::bindings {
namespace {

// False: not one dimension of so many numbers of a kind that is read.
bool column_of(const py::array& array, py::ssize_t count, events::Column& column) {
    static constexpr std::pair<const char*, events::Number> kNumbers[] = {
        {"|b1", events::Number::u8},  {"|i1", events::Number::i8},  {"|u1", events::Number::u8},
        {"<i2", events::Number::i16}, {"<u2", events::Number::u16}, {"<i4", events::Number::i32},
        {"<u4", events::Number::u32}, {"<i8", events::Number::i64}, {"<u8", events::Number::u64},
        {"<f4", events::Number::f32}, {"<f8", events::Number::f64}};
    if (array.ndim() != 1 || array.shape(0) != count) return false;
    const std::string name = py::str(array.dtype().attr("str"));
    for (const auto& [known, number] : kNumbers) {
        if (name != known) continue;
        column = {static_cast<const uint8_t*>(array.data()), array.strides(0), number};
        return true;
    }
    return false;
}

// The events of the rows; None: some need care.
py::object pack_rows(const py::array& t, const py::array& x, const py::array& y, const py::array& p, double t_factor,
                     int32_t width, int32_t height, std::optional<int64_t> latest_us, int64_t ahead_us) {
    const py::array* const arrays[] = {&t, &x, &y, &p};
    events::Column columns[4];
    for (size_t i = 0; i < 4; ++i)
        if (!column_of(*arrays[i], t.size(), columns[i])) return py::none();
    const events::RowRules rules{t_factor, width, height, latest_us.value_or(0), !latest_us.has_value(), ahead_us};
    std::vector<Event> out = EventMemory::shared().take();
    bool packed = false;
    {
        py::gil_scoped_release unlocked;
        packed = events::pack_rows(columns[0], columns[1], columns[2], columns[3], static_cast<size_t>(t.size()), rules,
                                   out);
    }
    if (packed) return event_array(std::move(out));
    EventMemory::shared().give(std::move(out));
    return py::none();
}

}  // namespace

void bind_rows(py::module_& room) {
    room.def("pack_rows", &pack_rows, py::arg("t"), py::arg("x"), py::arg("y"), py::arg("p"), py::arg("t_factor"),
             py::arg("width"), py::arg("height"), py::arg("latest_us"), py::arg("ahead_us"));
}

}  // namespace edgesnn::bindings
