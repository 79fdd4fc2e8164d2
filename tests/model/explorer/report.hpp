// What is said of an execution that failed.
#pragma once

#include <string>

namespace model {

class report {
public:
    void clear();
    void log(bool wanted) noexcept { logging_ = wanted; }
    bool is_logging() const noexcept { return logging_; }

    // A line of what the running thread does.
    void note(const char* format, ...);
    // What went wrong, and what each thread is about.
    void set_failure(const std::string& complaint);

    std::string complaint() const { return failure_.substr(0, failure_.find('\n')); }
    const std::string& failure() const noexcept { return failure_; }
    const std::string& log() const noexcept { return log_; }

private:
    bool logging_ = false;
    std::string failure_, log_;
};

}  // namespace model
