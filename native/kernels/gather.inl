// Matrices by the rows of their active inputs, for every type of weight: the segments of a list by tiles of blocks of
// outputs, whose sums stay in registers. Included by gather_<weights>__<arm>.cpp after gather__<arm>.hpp, which has
// find_active and Rows. Sums are what a kernel keeps of a block:
//     kCounts, kLimit  of its segments (active.hpp)
//     kBlocks          of a tile, at most
//     kOutputs         of a byte: 1, or 2 in layout im4
//     add_pair         adds a block of two rows times their values, the second one's in the upper byte; or else there
//                      is an add_segment of its own
//     emit             its outputs from a column on, of a segment of either kind, to the row y

template <typename Sums, size_t V, typename Rows>
EDGESNN_INLINE void add_rows(Sums (&sums)[V], const Rows& rows, uint32_t k, uint32_t l, int values) noexcept {
    const uint8_t *first = rows.row(k), *second = rows.row(l);
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) sums[v].add_pair(rows.block(first, v), rows.block(second, v), values);
}

template <typename Sums, size_t V, typename Rows>
EDGESNN_INLINE void add_segment(Sums (&sums)[V], const Rows& rows, const Active& a, const Segment& s) noexcept {
    size_t i = s.begin;
    for (; i + 2 <= s.end; i += 2) {
        const uint32_t k = a.index[i], l = a.index[i + 1];
        add_rows(sums, rows, k, l, Sums::kCounts ? a.x[k] | a.x[l] << 8 : 0x0101);
    }
    if (i == s.end) return;
    const uint32_t k = a.index[i];
    add_rows(sums, rows, k, k, Sums::kCounts ? a.x[k] : 1);
}

template <typename Sums>
inline size_t row_bytes(const Matrix& m) noexcept {
    return Sums::kOutputs == 1 ? m.stride : im4_bytes(m.stride);
}

template <typename Sums, size_t V, typename Part>
EDGESNN_INLINE void emit_blocks(const Sums (&sums)[V], const Matrix& m, const Part& s, size_t column,
                                void* y) noexcept {
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) sums[v].emit(m, s, column + Sums::kOutputs * v * kBlock, y);
}

template <typename Sums, typename Rows, typename List>
void tile(const Matrix& m, const List& list, const Segment& s, size_t offset, void* y) noexcept {
    Sums sums[Rows::kBlocks] = {};
    add_segment(sums, Rows(m, row_bytes<Sums>(m), offset), list, s);
    const size_t column = Sums::kOutputs * offset, end = column + Sums::kOutputs * Rows::kBlocks * kBlock;
    if (s.first && s.last && m.scale != nullptr && end <= m.stride)
        emit_blocks(sums, m, UsualSegment{s.sum}, column, y);
    else
        emit_blocks(sums, m, s, column, y);
}

// The tile with most blocks, at most V, of those that the `left` bytes fill. Returns the bytes that are done.
template <typename Sums, size_t V, typename List>
inline size_t largest_tile(const Matrix& m, const List& list, const Segment& s, size_t offset, size_t left,
                           void* y) noexcept {
    if constexpr (V > kFewest)
        if (left < Rows<V>::kLeast) return largest_tile<Sums, V - 1>(m, list, s, offset, left, y);
    tile<Sums, Rows<V>>(m, list, s, offset, y);
    return Rows<V>::kBlocks * kBlock;
}

// All columns of a segment of `list`: an Active, or what an arm has made of it.
template <typename Sums, typename List>
void gather_segment(const Matrix& m, const List& list, const Segment& s, void* y) noexcept {
    const size_t bytes = row_bytes<Sums>(m);
    for (size_t offset = 0; offset < bytes;)
        offset += largest_tile<Sums, Sums::kBlocks>(m, list, s, offset, bytes - offset, y);
}

template <typename Sums>
void gather_row(const Matrix& m, const Active& a, void* y) noexcept {
    for_segments<Sums::kCounts>(a, Sums::kLimit, [&](const Segment& s) { gather_segment<Sums>(m, a, s, y); });
}

// one_row(active, y row) for every row of x. Returns the sum of all x.
template <typename OneRow>
inline uint64_t for_rows(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y,
                         const OneRow& one_row) noexcept {
    uint64_t sum = 0;
    auto* out = static_cast<char*>(y);
    for (size_t row = 0; row < rows; ++row, x += x_stride, out += 4 * m.stride) {
        const Active a = find_active(x, x_stride, index);
        sum += a.sum;
        one_row(a, out);
    }
    return sum;
}

template <typename Sums>
uint64_t gather(const Matrix& m, const uint8_t* x, size_t x_stride, size_t rows, uint32_t* index, void* y) noexcept {
    return for_rows(m, x, x_stride, rows, index, y, [&m](const Active& a, void* out) { gather_row<Sums>(m, a, out); });
}
