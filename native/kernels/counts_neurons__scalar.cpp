// A matrix of small integers with its neurons, scalar arm: see counts_neurons.inl.
#include "kernels/arms.hpp"

#define EDGESNN_ARM_NAME(name) name##__scalar

namespace edgesnn::kernels {
namespace {

#include "kernels/counts_neurons.inl"

}  // namespace

uint64_t counts_neurons__scalar(const Matrix& m, const Neurons& n, float* v, const uint8_t* x, size_t x_stride,
                                size_t rows, uint32_t* active, uint8_t* s, uint64_t* spikes) noexcept {
    return by_rows(m, n, v, x, x_stride, rows, active, s, spikes);
}

}  // namespace edgesnn::kernels
