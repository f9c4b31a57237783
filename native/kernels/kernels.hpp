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

// weights: input-major rows [inputs][stride], int8 or float32, or for the nibbles_ kernels (inputs of 0 or 1, at most
// kNibbleInputs) the table of nibble_table.hpp; y[n] = float(acc[n]) * scale[n] + bias[n]. Where scale is null:
// the spikes_ and counts_ kernels give y[n] = acc[n] in int32 and do not read bias; lanes_f32: y[n] = acc[n] + bias[n].
//
// spikes_i4, counts_i4: weights in layout im4, rows of im4_bytes(stride) bytes: each 16 bytes hold 32 outputs, biased
// (w + 8, w in [-8, 7]): the low half of byte j is output j, the high half output 16 + j. Where stride is no multiple
// of 32, only the low halves of the last 16 bytes are outputs.
struct Matrix {
    const void* weights;
    const float* scale;
    const float* bias;
    size_t inputs;
    size_t stride;                   // padded outputs: of weights, scale, bias and y
    const int8_t* blocks = nullptr;  // of counts_neurons: the weights once more, for a small matrix (dot_blocks.hpp)
};

inline constexpr size_t im4_bytes(size_t stride) {
    return (stride + 31) / 32 * 16;
}

// Rows of small integers x[rows][x_stride] to rows y[rows][stride] of float (int32 where scale is null). active holds
// x_stride indices of scratch. Returns the sum of all x. spikes_: x is 0 or 1.
using LinearEvents = uint64_t(const Matrix& matrix, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* active,
                              void* y) noexcept;
using LinearDense = void(const Matrix& matrix, const float* x, size_t x_stride, size_t rows, float* y) noexcept;

// A matrix of int8 or int4 for rows of float32 quantised to int8 (quantize_f32). Sixteen outputs lie together, as
// `blocks` blocks of 64 bytes: dot_i8: layout om16x4, blocks of 4 inputs, w in [-127, 127]; dot_i4: layout om16x8,
// blocks of 8 inputs, w in [-8, 7] stored as w + 8. `inputs` padded to 16 lie within the blocks.
//     dot_i8: acc[n] = sum over k of w[n][k] * q[k]              exact while 127 * 127 * inputs < 2^31
//     dot_i4: acc[n] = sum over groups g of multiplier[g][n] * (sum over k in g of w[n][k] * q[k])
//                                                                exact while 255 * 8 * 127 * inputs < 2^31: <= 8192
//     y[n] = ((float(acc[n]) * scale[n]) * s_x) + bias[n]
struct DotMatrix {
    const void* weights;
    const float* scale;
    const float* bias;
    const uint8_t* multipliers;  // dot_i4: [inputs / group rounded up][stride]
    const int32_t* sums;         // dot_i8: dot_sums of the weights (dot_sums.hpp)
    size_t inputs;
    size_t blocks;
    size_t stride;   // padded outputs: of scale, bias, multipliers, sums and y
    size_t group;    // dot_i4: 32, 64 or 128 inputs
    size_t outputs;  // that are wanted, from the first: a multiple of 16, at most stride
};
// q[rows][q_stride] in [-127, 127], its padding zero, and s_x[rows] to y[rows][stride]. The weights are read once for
// several rows.
using Dot = void(const DotMatrix& matrix, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                 float* y) noexcept;
// Each row of x to q and its scale: a = max |x|; a < 1e-30: q = 0, s_x = 0; else q = rint(x * (127 / a)), half to even,
// clamped to +-127, s_x = a / 127. A NaN is no maximum and gives -127; a is at most the largest finite number.
using Quantize = void(const float* x, size_t stride, size_t rows, int8_t* q, float* s_x) noexcept;

// y[i] = a[i] + b[i], n % 16 == 0; the sums fit a byte.
using Add = void(const uint8_t* a, const uint8_t* b, size_t n, uint8_t* y) noexcept;
// y[n] = max over the rows of x[row][n], and of y[n] itself unless `fresh`. rows >= 1.
using Max = void(const uint8_t* x, size_t rows, size_t stride, bool fresh, uint8_t* y) noexcept;
// Eight 16-bit numbers for each call c in [begin, end): philox(key, (c, step, window low, window high)), low half of
// each word first. out holds 8 * (end - begin) rounded up to 64.
using Random16 = void(uint64_t key, size_t begin, size_t end, uint32_t step, uint64_t window, uint16_t* out) noexcept;

// y[i] = a[i] op b[i], n % 16 == 0.
using Binary = void(const float* a, const float* b, size_t n, float* y) noexcept;
// y[row][i] = float(x[row][i]) * scale[i] + bias[i], stride % 16 == 0; y may be x.
using ScaleFloats = void(const float* x, const float* scale, const float* bias, size_t rows, size_t stride,
                         float* y) noexcept;
using ScaleInts = void(const int32_t* x, const float* scale, const float* bias, size_t rows, size_t stride,
                       float* y) noexcept;
// y[i] = x[i] * mix[i] + old[i] * keep[i], n % 16 == 0.
using Shift = void(const float* x, const float* old, const float* mix, const float* keep, size_t n, float* y) noexcept;
// y = f(x) for rows of `columns`, padded to a multiple of 16; the padding of y is zero.
using Rows = void(const float* x, size_t rows, size_t columns, float* y) noexcept;
using LayerNorm = void(const float* x, const float* weight, const float* bias, float eps, size_t rows, size_t columns,
                       float* y) noexcept;
// docs/operators.md, `wkv`; n % 16 == 0.
using Wkv = void(const float* k, const float* v, const float* bonus, const float* decay, size_t n, float* aa, float* bb,
                 float* pp, float* y) noexcept;

// Neurons with flags (docs/operators.md, `lif`). Parameters [stride] are the same for all rows, null where they are not
// given.
struct Neurons {
    enum class Current { none, fresh, sum_decay, jump, old };
    enum class Spike { binary, floor, half_up, half_even, none };
    enum class Reset { zero, value, subtract, none };
    enum class At { same, next, old, no_double };

    bool euler = false, ge = true;
    Current current = Current::none;
    Spike spike = Spike::binary;
    Reset reset = Reset::zero;
    At at = At::same;
    int32_t cap = 1, refractory = 0;
    const float *alpha = nullptr, *v_th = nullptr, *beta = nullptr, *gain = nullptr, *leak = nullptr,
                *v_reset = nullptr, *v_min = nullptr;

    // No more than v * alpha + x, binary spikes and a reset to zero, by v_th or none in the same step.
    bool usual() const noexcept {
        return !euler && current == Current::none && spike == Spike::binary && reset != Reset::value &&
               at == At::same && refractory == 0 && gain == nullptr && leak == nullptr && v_min == nullptr;
    }
};
// [rows][stride]; null where the flags ask for none.
struct NeuronStates {
    float *v = nullptr, *i = nullptr;
    int32_t* held = nullptr;
};
// Rows of x[rows][stride] to out: bytes, or floats with Spike::none. The current is float(x) * scale + bias, or x where
// scale is null (neurons_f32). Returns the sum of the spikes.
using NeuronsOfFloats = uint64_t(const Neurons& neurons, const NeuronStates& states, const float* x, const float* scale,
                                 const float* bias, size_t rows, size_t stride, void* out) noexcept;
using NeuronsOfInts = uint64_t(const Neurons& neurons, const NeuronStates& states, const int32_t* x, const float* scale,
                               const float* bias, size_t rows, size_t stride, void* out) noexcept;
// Rows of zeros and ones as words: column k of a row is bit k, the bits beyond are zero.
inline constexpr size_t kBitColumns = 64;  // at most
// A matrix and neurons_f32 in one, for usual neurons; `spikes` is set to the number of spikes. Returns the sum of all
// x. nibbles_neurons: from bits to bits, stride <= kBitColumns. counts_neurons: x is at most 127, stride <= 2048,
// `active` holds x_stride indices of scratch.
using BitNeurons = uint64_t(const Matrix& matrix, const Neurons& neurons, float* v, const uint64_t* x, size_t rows,
                            uint64_t* s, uint64_t* spikes) noexcept;
using CountNeurons = uint64_t(const Matrix& matrix, const Neurons& neurons, float* v, const uint8_t* x, size_t x_stride,
                              size_t rows, uint32_t* active, uint8_t* s, uint64_t* spikes) noexcept;
// Bytes of 0 or 1 to bits and back; stride <= kBitColumns.
using PackBits = void(const uint8_t* x, size_t rows, size_t stride, uint64_t* bits) noexcept;
using UnpackBits = void(const uint64_t* bits, size_t rows, size_t stride, uint8_t* y) noexcept;
// y[n] = max over the rows of bit n of a[row] + bit n of b[row]. rows >= 1.
using MaxBits = void(const uint64_t* a, const uint64_t* b, size_t rows, size_t stride, uint8_t* y) noexcept;
// Bit i % 64 of bits[i / 64] = a[i] < b[i], n % 64 == 0.
using LessBits = void(const uint16_t* a, const uint16_t* b, size_t n, uint64_t* bits) noexcept;

// Integer neurons (docs/operators.md, `cuba`): fire where v > above. x: bytes, or int32 where `wide`.
struct Cuba {
    int32_t current_decay, voltage_decay, gain, above;
    bool wide;
};
using UpdateCuba = uint64_t(const Cuba& cuba, const void* x, size_t n, int32_t* u, int32_t* v, uint8_t* s) noexcept;

// The indices of bytes that are not zero, ascending, to index[n]; n % 16 == 0. Returns how many.
using FindActive = size_t(const uint8_t* x, size_t n, uint32_t* index) noexcept;

// A convolution by events. Weights in rows (channel in its group, ky, kx) of weight_stride outputs: layout "im", or
// "im4". A tap says where the weights of a kernel place begin and where the sums of the output that it leads to lie,
// both in elements: an input at (y, x) reaches every pair of the taps of its y and of its x.
struct ConvTap {
    uint32_t weight, place;
};
struct Conv {
    const void* weights;
    size_t plane;                        // elements of weights of an input channel
    size_t group_inputs, group_outputs;  // channels of a group
    const ConvTap *taps_y, *taps_x;      // those of place i: taps_y[begin_y[i]] to taps_y[begin_y[i + 1] - 1]
    const uint32_t *begin_y, *begin_x;
    bool counts;  // the values are counts: conv_f32 weighs its sum by them
};
struct ConvEvent {
    uint32_t channel, y, x;
    float value;
};
// Adds to acc: int32 (conv_i8, conv_i4) or float. Returns the sum of value * places reached (places alone: not counts).
using ConvEvents = uint64_t(const Conv& conv, const ConvEvent* events, size_t count, void* acc) noexcept;

#define EDGESNN_KERNELS(X)          \
    X(spikes_i8, LinearEvents)      \
    X(counts_i8, LinearEvents)      \
    X(spikes_i4, LinearEvents)      \
    X(counts_i4, LinearEvents)      \
    X(nibbles_i8, LinearEvents)     \
    X(nibbles_neurons, BitNeurons)  \
    X(counts_neurons, CountNeurons) \
    X(pack_bits, PackBits)          \
    X(unpack_bits, UnpackBits)      \
    X(max_bits, MaxBits)            \
    X(less_bits, LessBits)          \
    X(events_f32, LinearEvents)     \
    X(lanes_f32, LinearDense)       \
    X(quantize_f32, Quantize)       \
    X(dot_i8, Dot)                  \
    X(dot_i4, Dot)                  \
    X(add_u8, Add)                  \
    X(max_u8, Max)                  \
    X(random16, Random16)           \
    X(add_f32, Binary)              \
    X(multiply_f32, Binary)         \
    X(scale_f32, ScaleFloats)       \
    X(scale_i32, ScaleInts)         \
    X(shift_f32, Shift)             \
    X(relu_f32, Rows)               \
    X(relu2_f32, Rows)              \
    X(sigmoid_f32, Rows)            \
    X(silu_f32, Rows)               \
    X(exp_f32, Rows)                \
    X(softmax_f32, Rows)            \
    X(layer_norm_f32, LayerNorm)    \
    X(wkv_f32, Wkv)                 \
    X(neurons_f32, NeuronsOfFloats) \
    X(neurons_i32, NeuronsOfInts)   \
    X(cuba, UpdateCuba)             \
    X(active_u8, FindActive)        \
    X(conv_i8, ConvEvents)          \
    X(conv_i4, ConvEvents)          \
    X(conv_f32, ConvEvents)

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
