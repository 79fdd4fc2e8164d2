// A folder among the temporary files that goes with the object, and all that is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace example {

class own_folder {
public:
    own_folder() {
        if (!::mkdtemp(path_.data())) throw std::runtime_error("no folder among the temporary files");
    }
    own_folder(const own_folder&) = delete;
    ~own_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_ = std::filesystem::temp_directory_path() / "sluice-XXXXXX";
};

}  // namespace example
