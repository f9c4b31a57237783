// Round to nearest even, denormals kept, for as long as the object lives; then the caller's setting again.
// Any library built with -ffast-math sets flush-to-zero for the whole process when it loads, so every native entry that
// computes in floating point holds one of these.
#pragma once

#include <cstdint>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace edgesnn {

class FloatEnvironment {
  public:
#if defined(__SSE__)
    FloatEnvironment() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
    ~FloatEnvironment() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
    FloatEnvironment() noexcept {
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved_));
        __asm__ __volatile__("msr fpcr, %0" ::"r"(uint64_t{0}));
    }
    ~FloatEnvironment() { __asm__ __volatile__("msr fpcr, %0" ::"r"(saved_)); }
#else
#error "edgesnn runs on x86-64 and aarch64"
#endif
    FloatEnvironment(const FloatEnvironment&) = delete;
    FloatEnvironment& operator=(const FloatEnvironment&) = delete;

  private:
#if defined(__SSE__)
    uint32_t saved_;
#else
    uint64_t saved_;
#endif
};

}  // namespace edgesnn
