// acc[n] = sum over k of w[n][k] * q[k], or of groups of it times their multipliers; y[n] = ((float(acc[n]) * scale[n])
// * s_x) + bias[n]. Layouts and bounds: DotMatrix in kernels.hpp.
// Signed by signed bytes, four inputs of four outputs an instruction. int4: (w + 8) by q, less 8 * the sum of q.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arms.hpp"
#include "kernels/dot_tiles.hpp"

namespace edgesnn::kernels {
namespace {

// Four outputs.
inline void finish(const DotMatrix& m, size_t column, int32x4_t acc, float s_x, float* y) noexcept {
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(m.scale + column));
    const float32x4_t whole = vmulq_f32(scaled, vdupq_n_f32(s_x));
    vst1q_f32(y + column, vaddq_f32(whole, vld1q_f32(m.bias + column)));
}

// Quarter h of a tile holds its outputs 4 h to 4 h + 3.
template <size_t R, size_t H>
inline void finish_all(const DotMatrix& m, const Place& at, const int32x4_t (&acc)[R][H]) noexcept {
    for (size_t r = 0; r < R; ++r)
        for (size_t h = 0; h < H; ++h) finish(m, at.column + 4 * h, acc[r][h], at.s_x[r], at.y + r * m.stride);
}

template <size_t R, size_t H>
inline void set_all(int32x4_t (&acc)[R][H], int32x4_t value) noexcept {
    for (size_t r = 0; r < R; ++r)
        for (size_t h = 0; h < H; ++h) acc[r][h] = value;
}

// Inputs 4 * kLane to 4 * kLane + 3 of sixteen: one block of each sixteen outputs.
template <int kLane, size_t R, size_t H>
inline void add_block(const char* w, size_t blocks, const int8x16_t (&q)[R], int32x4_t (&acc)[R][H]) noexcept {
#pragma GCC unroll 8
    for (size_t h = 0; h < H; ++h) {
        const auto* from = reinterpret_cast<const int8_t*>(w + h / 4 * blocks * 64 + h % 4 * 16);
        const int8x16_t weights = vld1q_s8(from);
#pragma GCC unroll 4
        for (size_t r = 0; r < R; ++r) acc[r][h] = vdotq_laneq_s32(acc[r][h], weights, q[r], kLane);
    }
}

struct TileI8 {
    static constexpr bool kBiased = false;

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        const char* w = weights_of(m, at.column);
        int32x4_t acc[R][4 * B];
        set_all(acc, vdupq_n_s32(0));
        for (size_t k = 0; k < m.inputs; k += 16, w += 256) {
            int8x16_t q[R];
            for (size_t r = 0; r < R; ++r) q[r] = vld1q_s8(at.q + r * at.q_stride + k);
            add_block<0>(w, m.blocks, q, acc);
            add_block<1>(w + 64, m.blocks, q, acc);
            add_block<2>(w + 128, m.blocks, q, acc);
            add_block<3>(w + 192, m.blocks, q, acc);
        }
        finish_all(m, at, acc);
    }
};

struct TileI4 {
    static constexpr bool kBiased = true;

    // Inputs 8 * kHalf to 8 * kHalf + 7 of sixteen.
    template <int kHalf, size_t R, size_t H>
    static void add_half(const char* w, size_t blocks, const int8x16_t (&q)[R], int32x4_t (&acc)[R][H]) noexcept {
#pragma GCC unroll 8
        for (size_t h = 0; h < H; ++h) {
            const auto* from = reinterpret_cast<const uint8_t*>(w + h / 4 * blocks * 64 + h % 4 * 16);
            const uint8x16_t bytes = vld1q_u8(from);
            const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15)));
            const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
#pragma GCC unroll 4
            for (size_t r = 0; r < R; ++r) {
                acc[r][h] = vdotq_laneq_s32(acc[r][h], low, q[r], 2 * kHalf);
                acc[r][h] = vdotq_laneq_s32(acc[r][h], high, q[r], 2 * kHalf + 1);
            }
        }
    }

    template <size_t R, size_t H>
    static void add_group(const DotMatrix& m, const Place& at, size_t begin, size_t end,
                          int32x4_t (&sums)[R][H]) noexcept {
        const char* w = weights_of(m, at.column) + begin / 8 * 64;
        for (size_t k = begin; k < end; k += 16, w += 128) {
            int8x16_t q[R];
            for (size_t r = 0; r < R; ++r) q[r] = vld1q_s8(at.q + r * at.q_stride + k);
            add_half<0>(w, m.blocks, q, sums);
            add_half<1>(w + 64, m.blocks, q, sums);
        }
    }

    // acc += sums * the multipliers from `bytes` on.
    template <size_t R, size_t H>
    static void multiply(const uint8_t* bytes, const int32x4_t (&sums)[R][H], int32x4_t (&acc)[R][H]) noexcept {
        for (size_t h = 0; h < H; h += 2) {
            const uint16x8_t words = vmovl_u8(vld1_u8(bytes + 4 * h));
            const int32x4_t front = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
            const int32x4_t back = vreinterpretq_s32_u32(vmovl_high_u16(words));
            for (size_t r = 0; r < R; ++r) {
                acc[r][h] = vmlaq_s32(acc[r][h], sums[r][h], front);
                acc[r][h + 1] = vmlaq_s32(acc[r][h + 1], sums[r][h + 1], back);
            }
        }
    }

    template <size_t R, size_t B>
    static void run(const DotMatrix& m, const Place& at) noexcept {
        int32x4_t acc[R][4 * B];
        set_all(acc, vdupq_n_s32(0));
        for (size_t g = 0; g * m.group < m.inputs; ++g) {
            int32x4_t sums[R][4 * B];
            for (size_t r = 0; r < R; ++r)
                for (size_t h = 0; h < 4 * B; ++h) sums[r][h] = vdupq_n_s32(-at.biases[r][g]);
            const size_t end = (g + 1) * m.group;
            add_group(m, at, g * m.group, end < m.inputs ? end : m.inputs, sums);
            multiply(m.multipliers + g * m.stride + at.column, sums, acc);
        }
        finish_all(m, at, acc);
    }
};

}  // namespace

void dot_i8__neon(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                  float* y) noexcept {
    for_rows<TileI8, 4, 1, 2>(m, q, q_stride, s_x, rows, y);
}

void dot_i4__neon(const DotMatrix& m, const int8_t* q, size_t q_stride, const float* s_x, size_t rows,
                  float* y) noexcept {
    for_rows<TileI4, 2, 1, 2>(m, q, q_stride, s_x, rows, y);
}

}  // namespace edgesnn::kernels
#endif
