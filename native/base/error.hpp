// Errors as values inside the core, as one exception at its doors.
//
// decoders, kernels, stages and step() are noexcept and return a Status; load, open and argument checks throw Error.
// native/bindings/module.cpp turns both into the classes of edgesnn/errors.py.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace edgesnn {

enum class ErrorKind { none, internal, usage, recording, model, config, publish, backend };

struct Status {
    ErrorKind kind = ErrorKind::none;
    std::string what;     // one clause
    std::string where;    // file, node, tensor
    int64_t offset = -1;  // byte offset in `where`, -1: none
    std::string found;
    std::string expected;
    std::string hint;  // what to do next

    bool ok() const noexcept { return kind == ErrorKind::none; }
};

class Error : public std::exception {
  public:
    explicit Error(Status status) : status_(std::move(status)) {}
    Error(ErrorKind kind, std::string what, std::string where = {}, std::string found = {}, std::string expected = {},
          std::string hint = {})
        : status_{kind, std::move(what), std::move(where), -1, std::move(found), std::move(expected), std::move(hint)} {
    }
    const Status& status() const noexcept { return status_; }
    const char* what() const noexcept override { return status_.what.c_str(); }

  private:
    Status status_;
};

}  // namespace edgesnn
