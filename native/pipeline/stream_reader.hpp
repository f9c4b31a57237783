// Bytes of a file descriptor, whatever it is: a file, a pipe, a connected stream socket, a socket of datagrams (each
// stays whole). It waits in poll(2), and another thread can end the wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/span.hpp"

namespace edgesnn::pipeline {

constexpr size_t kMostDatagram = size_t{1} << 16;  // of UDP; what is longer loses its end and is counted

class StreamReader {
  public:
    enum class Got { bytes, nothing, end, error };

    // Keeps a duplicate of `fd`, which stays the caller's (both share the place in a file). `where` is for messages.
    // Throws Error{usage} on what cannot be read: no open descriptor, a folder, a listening socket.
    StreamReader(int fd, std::string where);
    ~StreamReader();
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;

    // Returns when a read would not wait; false: wake was called.
    bool wait() noexcept;
    void wake() noexcept;  // for good; from any thread

    // Reads at most `size` bytes, or one datagram of at most kMostDatagram (the buffer must hold it). `size` becomes
    // how many there are. Does not wait after wait returned true.
    Got read(uint8_t* buffer, size_t& size, Status& error) noexcept;
    bool socket() const noexcept { return kind_ != Kind::plain; }
    int64_t take_truncated() noexcept { return std::exchange(truncated_, 0); }  // datagrams since the last call

  private:
    enum class Kind { plain, stream, datagrams };
    void find_kind();

    std::string where_;
    int fd_ = -1;
    int wake_ = -1;
    Kind kind_ = Kind::plain;
    int64_t truncated_ = 0;
};

}  // namespace edgesnn::pipeline
