// What the gather kernels of the avx512_vnni arm share: the list of active inputs, and the way of a tile's 16-bit sums
// through 32 bits to the row y.
#pragma once

#include "kernels/active.hpp"
#include "kernels/arms.hpp"
#include "kernels/avx512.hpp"

namespace edgesnn::kernels {
namespace {

// The first `count` bytes of a vector, all of them from 64 on.
inline __mmask64 first_bytes(size_t count) noexcept {
    return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

constexpr size_t kBlock = 64;  // bytes of a row
constexpr size_t kFewest = 1;  // blocks of a tile

// V blocks of the rows of a matrix from byte `offset` on; of the last one what the rows have.
template <size_t V>
struct Rows {
    static constexpr size_t kBlocks = V, kLeast = (V - 1) * kBlock + 1;  // bytes that are left

    Rows(const Matrix& m, size_t row_bytes, size_t offset) noexcept
        : w(static_cast<const uint8_t*>(m.weights) + offset),
          bytes(row_bytes),
          last(first_bytes(row_bytes - offset - (V - 1) * kBlock)) {}

    const uint8_t* row(size_t k) const noexcept { return w + k * bytes; }
    __m512i block(const uint8_t* row, size_t v) const noexcept {
        return _mm512_maskz_loadu_epi8(v + 1 < V ? ~__mmask64{0} : last, row + v * kBlock);
    }

    const uint8_t* w;
    size_t bytes;
    __mmask64 last;
};

// A piece of an input vector: for each 64 bytes that are not all zero, which of them are not, and where they begin.
struct Piece {
    static constexpr size_t kBytes = 4096;

    uint64_t masks[kBytes / 64];
    uint32_t begins[kBytes / 64];
    size_t blocks, ones;
};

// Sums of all values, and the bits that some value has.
struct Values {
    __m512i sums, bits;
};

// Reads x[begin, end), at most kBytes. No branch depends on the values.
inline void read_piece(Piece& piece, const uint8_t* x, size_t begin, size_t end, Values& all) noexcept {
    piece.blocks = piece.ones = 0;
    for (size_t k = begin; k < end; k += 64) {
        const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(end - k), x + k);
        all.sums = _mm512_add_epi64(all.sums, _mm512_sad_epu8(values, _mm512_setzero_si512()));
        all.bits = _mm512_or_si512(all.bits, values);
        const uint64_t mask = _mm512_test_epi8_mask(values, values);
        piece.masks[piece.blocks] = mask;
        piece.begins[piece.blocks] = static_cast<uint32_t>(k);
        piece.blocks += mask != 0 ? 1 : 0;
        piece.ones += static_cast<unsigned>(__builtin_popcountll(mask));
    }
}

// For few: the first kFirst of a block are written whether it has them or not, so that only blocks of more are asked.
// What is written past the list lies before the index of the last input: kFirst <= 16. Stored one by one (volatile):
// a compiler that makes vectors of them is slower, and what reads the list soon after waits for them.
template <size_t kFirst>
inline void list_few(const Piece& piece, volatile uint32_t* index) noexcept {
    for (size_t block = 0; block < piece.blocks; ++block) {
        uint64_t mask = piece.masks[block];
        const uint64_t begin = piece.begins[block];
        const auto ones = static_cast<size_t>(_mm_popcnt_u64(mask));
        for (size_t i = 0; i < kFirst; ++i, mask = _blsr_u64(mask))
            index[i] = static_cast<uint32_t>(begin + _tzcnt_u64(mask));
        for (size_t i = kFirst; i < ones; ++i, mask = _blsr_u64(mask))
            index[i] = static_cast<uint32_t>(begin + _tzcnt_u64(mask));
        index += ones;
    }
}

// Sixteen at a time, stored whole; as above, what is written past the list lies before the index of the last input.
inline void list_many(const Piece& piece, size_t end, uint32_t* index) noexcept {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t block = 0; block < piece.blocks; ++block) {
        uint64_t mask = piece.masks[block];
        const size_t stop = end < piece.begins[block] + 64 ? end : piece.begins[block] + 64;
        for (size_t at = piece.begins[block]; at < stop; at += 16, mask >>= 16) {
            const auto sixteen = static_cast<__mmask16>(mask);
            const __m512i indices = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(at)));
            _mm512_storeu_si512(index, _mm512_maskz_compress_epi32(sixteen, indices));
            index += __builtin_popcount(sixteen);
        }
    }
}

inline Active find_active(const uint8_t* x, size_t x_stride, uint32_t* index) noexcept {
    Values all{_mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t count = 0;
    Piece piece;
    for (size_t begin = 0; begin < x_stride; begin += Piece::kBytes) {
        const size_t end = x_stride - begin < Piece::kBytes ? x_stride : begin + Piece::kBytes;
        read_piece(piece, x, begin, end, all);
        if (piece.ones <= 2 * piece.blocks)
            list_few<4>(piece, index + count);
        else if (piece.ones <= 4 * piece.blocks)
            list_few<8>(piece, index + count);
        else if (piece.ones <= 8 * piece.blocks)
            list_few<12>(piece, index + count);
        else
            list_many(piece, end, index + count);
        count += piece.ones;
    }
    return {x, index, count, static_cast<uint64_t>(_mm512_reduce_add_epi64(all.sums)),
            _mm512_movepi8_mask(all.bits) == 0};
}

// Sixteen sums of a segment, unless the columns lie past the last: what the segments before left in y is added; of the
// last one, float, or int32 where the matrix has no scale.
template <typename Part>
EDGESNN_INLINE void emit_sums(const Matrix& m, const Part& s, size_t column, __m512i acc, void* y) noexcept {
    if (!s.kUsual && column >= m.stride) return;
    void* out = static_cast<char*>(y) + 4 * column;
    if (!s.first) acc = _mm512_add_epi32(acc, _mm512_loadu_si512(out));
    if (!s.last || (!s.kUsual && m.scale == nullptr)) return _mm512_storeu_si512(out, acc);
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(m.scale + column));
    _mm512_storeu_ps(out, _mm512_add_ps(scaled, _mm512_loadu_ps(m.bias + column)));
}

// 16-bit sums of 64 columns: `low` holds 0-7, 16-23, 32-39, 48-55, `high` the others. The four sixteens of columns lie
// kStep columns apart in y.
template <size_t kStep, typename Part>
EDGESNN_INLINE void emit_sums(const Matrix& m, const Part& s, size_t column, __m512i low, __m512i high,
                              void* y) noexcept {
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const __m512i a = _mm512_permutex2var_epi64(low, front, high);
    const __m512i b = _mm512_permutex2var_epi64(low, back, high);
    emit_sums(m, s, column, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(a)), y);
    emit_sums(m, s, column + kStep, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(a, 1)), y);
    emit_sums(m, s, column + 2 * kStep, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(b)), y);
    emit_sums(m, s, column + 3 * kStep, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(b, 1)), y);
}

// 32-bit sums of 64 columns, as unpacking four rows leaves them: 128-bit lane i of [j] is of columns 16 * i + 4 * j to
// + 3. The four sixteens lie kStep columns apart in y.
template <size_t kStep, typename Part>
EDGESNN_INLINE void emit_fours(const Matrix& m, const Part& s, size_t column, const __m512i (&acc)[4],
                               void* y) noexcept {
    const __m512i front_a = _mm512_shuffle_i32x4(acc[0], acc[1], 0x44),
                  front_b = _mm512_shuffle_i32x4(acc[2], acc[3], 0x44);
    const __m512i back_a = _mm512_shuffle_i32x4(acc[0], acc[1], 0xEE),
                  back_b = _mm512_shuffle_i32x4(acc[2], acc[3], 0xEE);
    emit_sums(m, s, column, _mm512_shuffle_i32x4(front_a, front_b, 0x88), y);
    emit_sums(m, s, column + kStep, _mm512_shuffle_i32x4(front_a, front_b, 0xDD), y);
    emit_sums(m, s, column + 2 * kStep, _mm512_shuffle_i32x4(back_a, back_b, 0x88), y);
    emit_sums(m, s, column + 3 * kStep, _mm512_shuffle_i32x4(back_a, back_b, 0xDD), y);
}

}  // namespace
}  // namespace edgesnn::kernels
