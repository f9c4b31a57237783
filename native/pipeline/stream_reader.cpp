#include "pipeline/stream_reader.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace edgesnn::pipeline {
namespace {

std::string reason(int code) {
    return std::string(std::strerror(code)) + " (errno " + std::to_string(code) + ")";
}

[[noreturn]] void refuse(const std::string& where, const std::string& found) {
    throw Error(ErrorKind::usage, "not a descriptor to read from", where, found,
                "an open file, pipe or connected socket");
}

int option(int fd, int name) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
}

// What a socket says of an earlier datagram that found no receiver is no end of what comes.
bool passes(int code, bool datagrams) noexcept {
    return code == EINTR || code == EAGAIN || code == EWOULDBLOCK || (datagrams && code == ECONNREFUSED);
}

}  // namespace

StreamReader::StreamReader(int fd, std::string where) : where_(std::move(where)) {
    fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) refuse(where_, reason(errno));
    try {
        find_kind();
        wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (wake_ < 0) throw Error(ErrorKind::internal, "no descriptor to wake a reader with", where_, reason(errno));
    } catch (...) {
        close(fd_);
        throw;
    }
}

StreamReader::~StreamReader() {
    close(fd_);
    close(wake_);
}

void StreamReader::find_kind() {
    struct stat found = {};
    if (fstat(fd_, &found) != 0) refuse(where_, reason(errno));
    if (S_ISDIR(found.st_mode)) refuse(where_, "a folder");
    const int flags = fcntl(fd_, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY) refuse(where_, "open for writing only");
    if (!S_ISSOCK(found.st_mode)) return;
    if (option(fd_, SO_ACCEPTCONN) != 0) refuse(where_, "a listening socket");
    const int type = option(fd_, SO_TYPE);
    if (type != SOCK_STREAM && type != SOCK_DGRAM) refuse(where_, "a socket of neither bytes nor datagrams");
    kind_ = type == SOCK_STREAM ? Kind::stream : Kind::datagrams;
}

bool StreamReader::wait() noexcept {
    for (;;) {
        pollfd fds[] = {{fd_, POLLIN, 0}, {wake_, POLLIN, 0}};
        const int ready = ::poll(fds, 2, -1);
        if (fds[1].revents != 0) return false;
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR && errno != EAGAIN) return true;  // the read says what it is
    }
}

void StreamReader::wake() noexcept {
    const uint64_t one = 1;
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

StreamReader::Got StreamReader::read(uint8_t* buffer, size_t& size, Status& error) noexcept {
    const bool whole = kind_ == Kind::datagrams;
    ssize_t got = 0;
    if (kind_ == Kind::plain)
        got = ::read(fd_, buffer, size);
    else
        got = ::recv(fd_, buffer, whole ? kMostDatagram : size, whole ? MSG_DONTWAIT | MSG_TRUNC : MSG_DONTWAIT);
    if (got < 0) {
        const int code = errno;
        if (passes(code, whole)) return Got::nothing;
        try {
            error = {ErrorKind::recording, "reading failed", where_, -1, reason(code), "bytes", {}};
        } catch (...) {
            error.kind = ErrorKind::recording;
        }
        return Got::error;
    }
    if (got == 0) return whole ? Got::nothing : Got::end;
    size = static_cast<size_t>(got);
    if (whole && size > kMostDatagram) {
        ++truncated_;
        size = kMostDatagram;
    }
    return Got::bytes;
}

}  // namespace edgesnn::pipeline
