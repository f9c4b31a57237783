// How the dot kernels of the vector arms cover a matrix: tiles of rows of q by blocks of sixteen outputs.
#pragma once

#include "kernels/kernels.hpp"

namespace edgesnn::kernels {
namespace {

constexpr size_t kMaxGroups = 256;  // 8192 inputs in groups of 32

// What a tile works on: its first row of q and y, and its first output. `biases` of row r and group g, for int4
// weights: 8 * the sum of q over the group.
struct Place {
    const int8_t* q;
    size_t q_stride;
    const float* s_x;
    const int32_t (*biases)[kMaxGroups];
    size_t column;
    float* y;
};

// The weights of the sixteen outputs from `column` on.
inline const char* weights_of(const DotMatrix& m, size_t column) noexcept {
    return static_cast<const char*>(m.weights) + column / 16 * m.blocks * 64;
}

// q is padded to 16 with zeros.
inline void find_biases(const DotMatrix& m, const int8_t* q, int32_t* biases) noexcept {
    const size_t end = (m.inputs + 15) / 16 * 16;
    for (size_t k = 0; k < end; k += m.group) {
        int32_t sum = 0;
        for (size_t j = k; j < k + m.group && j < end; j += 16)
            for (size_t i = 0; i < 16; ++i) sum += q[j + i];
        *biases++ = 8 * sum;
    }
}

// Tile::run<R, B>(m, place) over all outputs of `rows` rows, a multiple of R: the weights of a tile are read once.
template <class Tile, size_t R, size_t B>
inline void for_columns(const DotMatrix& m, Place at, size_t rows) noexcept {
    const auto down = [&](auto run) {
        for (size_t r = 0; r < rows; r += R)
            run(m,
                Place{at.q + r * at.q_stride, at.q_stride, at.s_x + r, at.biases + r, at.column, at.y + r * m.stride});
    };
    for (; at.column + 16 * B <= m.outputs; at.column += 16 * B) down(Tile::template run<R, B>);
    for (; at.column < m.outputs; at.column += 16) down(Tile::template run<R, 1>);
}

// Tiles of R rows by B blocks of sixteen outputs; what is left of the rows in single ones of kSingleBlocks.
template <class Tile, size_t R, size_t B, size_t kSingleBlocks>
inline void for_rows(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                     float* y) noexcept {
    constexpr size_t kChunk = 16;
    static_assert(kChunk % R == 0, "chunks are whole tiles");
    int32_t biases[kChunk][kMaxGroups];
    for (size_t begin = 0; begin < rows; begin += kChunk) {
        const size_t count = rows - begin < kChunk ? rows - begin : kChunk, tiled = count / R * R;
        const Place at{q + begin * q_stride, q_stride, s_x + begin, biases, 0, y + begin * m.stride};
        if (Tile::kBiased)
            for (size_t r = 0; r < count; ++r) find_biases(m, at.q + r * q_stride, biases[r]);
        for_columns<Tile, R, B>(m, at, tiled);
        const Place rest{at.q + tiled * q_stride, q_stride, at.s_x + tiled, biases + tiled, 0, at.y + tiled * m.stride};
        for_columns<Tile, 1, kSingleBlocks>(m, rest, count - tiled);
    }
}

}  // namespace
}  // namespace edgesnn::kernels
