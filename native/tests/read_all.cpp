// `read_all` for bench/bandwidth.py, which calls it through ctypes.
#include "read_all.hpp"

extern "C" uint64_t edgesnn_read_all(const char* data, size_t bytes) {
    return edgesnn::read_all(data, bytes);
}
