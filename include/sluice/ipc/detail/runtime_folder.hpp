// The folder in which a user's socket files lie.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <sluice/ipc/detail/errors.hpp>

namespace sluice::ipc::detail {

// Throws, with the remedy in the message, unless the folder is this user's, closed to others, and no link.
inline void check_private_folder(const std::string& folder, const std::string& remedy) {
    struct stat found {};
    if (::lstat(folder.c_str(), &found) != 0) fail(errno, folder + ": " + remedy);
    if (S_ISLNK(found.st_mode)) fail(ENOTDIR, folder + ": it is a link: " + remedy);
    if (!S_ISDIR(found.st_mode)) fail(ENOTDIR, folder + ": it is no folder: " + remedy);
    if (const std::string why = access_problem(found); !why.empty()) fail(EPERM, folder + ": " + why + ": " + remedy);
}

// The folder of this user for socket files: $XDG_RUNTIME_DIR, or one that it makes among the temporary files. Throws
// std::system_error.
inline std::string runtime_folder() {
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        std::string path = value ? value : "";
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();  // lstat() would follow a link before a slash
        return path;
    };
    std::string folder = variable("XDG_RUNTIME_DIR");
    if (!folder.empty()) {
        check_private_folder(
            folder, "set XDG_RUNTIME_DIR to a folder of this user alone, or unset it, or give a path to the socket");
        return folder;
    }
    folder = variable("TMPDIR");
    if (folder.empty()) folder = P_tmpdir;
    folder += "/sluice-" + std::to_string(::geteuid());
    const std::string remedy = "remove it, or set XDG_RUNTIME_DIR to a folder of this user alone";
    if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST)
        fail(errno, folder + ": set XDG_RUNTIME_DIR to a folder of this user alone");
    check_private_folder(folder, remedy);
    return folder;
}

}  // namespace sluice::ipc::detail
