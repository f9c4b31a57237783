// Sixteen elements at a time in the compiler's vector types; included inside the anonymous namespace of an arm's file.
// Every operation is one rounding, elementwise; nothing here depends on the instruction set.

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Masks __attribute__((vector_size(64)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

constexpr size_t kBlock = 16;

template <typename V>
inline void load(V& to, const void* from) noexcept {
    std::memcpy(&to, from, sizeof(V));
}

template <typename V>
inline void store(void* to, const V& from) noexcept {
    std::memcpy(to, &from, sizeof(V));
}

inline void splat(Floats& to, float value) noexcept {
    to = Floats{} + value;
}

// Lanes j and j + 8, + 4, + 2, + 1 are added.
inline float fold(const Floats& lanes) noexcept {
    float v[kBlock];
    std::memcpy(v, &lanes, sizeof(v));
    for (size_t half = kBlock / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; ++j) v[j] = v[j] + v[j + half];
    return v[0];
}
