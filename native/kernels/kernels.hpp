// The kernels and their table. A kernel is one function per instruction set, `<name>__<arm>`, in the file of that name;
// the list below feeds the declarations, the tables, and the test that compares every arm with the scalar one.
//
// All rows are padded: `stride` elements apart, a multiple of 16, padding of bytes zero. Kernels allocate nothing,
// throw nothing, know no Python. Floating point follows docs/arithmetic.md: no fused multiply-add, no reassociation;
// callers hold a FloatEnvironment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgesnn::kernels {

// weights: input-major rows [inputs][stride], int8 or float32, or for nibbles_i8 (inputs of 0 or 1, at most
// kNibbleInputs) the table of nibble_table.hpp; y[n] = float(acc[n]) * scale[n] + bias[n]. Where scale is null:
// spikes_i8 and counts_i8: y[n] = acc[n] in int32, bias is not read; lanes_f32: y[n] = acc[n] + bias[n].
struct Matrix {
    const void* weights;
    const float* scale;
    const float* bias;
    size_t inputs;
    size_t stride;  // padded outputs: of weights, scale, bias and y
};

// Rows of small integers x[rows][x_stride] to rows y[rows][stride] of float (int32 where scale is null). active holds
// x_stride indices of scratch. Returns the sum of all x.
using LinearEvents = uint64_t(const Matrix& matrix, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                              void* y) noexcept;
using LinearDense = void(const Matrix& matrix, const float* x, size_t x_stride, size_t rows, float* y) noexcept;
// v[rows][stride] is changed, s[rows][stride] written; alpha, v_th [stride]. Returns the number of spikes.
using Lif = uint64_t(const float* alpha, const float* v_th, const float* x, size_t rows, size_t stride, float* v,
                     uint8_t* s) noexcept;
// y[i] = a[i] + b[i], n % 16 == 0; the sums fit a byte.
using Add = void(const uint8_t* a, const uint8_t* b, size_t n, uint8_t* y) noexcept;
// y[n] = max over the rows of x[row][n], and of y[n] itself unless `fresh`. rows >= 1.
using Max = void(const uint8_t* x, size_t rows, size_t stride, bool fresh, uint8_t* y) noexcept;
// Eight 16-bit numbers for each call c in [begin, end): philox(key, (c, step, window low, window high)), low half of
// each word first. out holds 8 * (end - begin) rounded up to 64.
using Random16 = void(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window, uint16_t* out) noexcept;

#define EDGESNN_KERNELS(X)      \
    X(spikes_i8, LinearEvents)  \
    X(counts_i8, LinearEvents)  \
    X(nibbles_i8, LinearEvents) \
    X(events_f32, LinearEvents) \
    X(lanes_f32, LinearDense)   \
    X(lif_ge_zero, Lif)         \
    X(lif_ge_subtract, Lif)     \
    X(lif_ge_none, Lif)         \
    X(lif_gt_zero, Lif)         \
    X(lif_gt_subtract, Lif)     \
    X(lif_gt_none, Lif)         \
    X(add_u8, Add)              \
    X(max_u8, Max)              \
    X(random16, Random16)

struct Table {
    const char* arm;
#define EDGESNN_FIELD(name, type) type* name;
    EDGESNN_KERNELS(EDGESNN_FIELD)
#undef EDGESNN_FIELD
};

// The table in use: the best arm of this machine, or the one that the environment variable EDGESNN_ARM names. Decided
// at the first call. Throws Error{backend} for an arm that is not known or cannot run here.
const Table& table();

// All arms of this build, scalar first; a null pointer ends the list. Those that this machine cannot run are left out.
const Table* const* tables() noexcept;

}  // namespace edgesnn::kernels
