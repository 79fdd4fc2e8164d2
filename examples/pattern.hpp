// A basic regular expression, as POSIX has it and grep understands it.
#pragma once

#include <string>

#include <regex.h>

namespace example {

class pattern {
public:
    explicit pattern(const std::string& text) : error_(regcomp(&compiled_, text.c_str(), REG_NOSUB)) {}
    pattern(const pattern&) = delete;
    pattern& operator=(const pattern&) = delete;
    ~pattern() {
        if (error_ == 0) regfree(&compiled_);
    }
    [[nodiscard]] bool valid() const { return error_ == 0; }
    [[nodiscard]] bool matches(const char* line) const { return regexec(&compiled_, line, 0, nullptr, 0) == 0; }

private:
    regex_t compiled_{};
    int error_;
};

}  // namespace example
