// The folder for sockets that are known by a name: which one it is, and which ones are refused.
#include "../../examples/own_folder.hpp"
#include "support.hpp"

#include <filesystem>
#include <optional>

#include <sys/stat.h>

namespace {

// A variable of the environment, set for a while.
class variable {
public:
    variable(const char* name, const std::string& value) : name_(name) {
        if (const char* const before = std::getenv(name)) before_ = before;
        value.empty() ? ::unsetenv(name) : ::setenv(name, value.c_str(), 1);
    }
    variable(const variable&) = delete;
    ~variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

private:
    const char* const name_;
    std::optional<std::string> before_;
};

// What a name is refused with.
std::string refusal() {
    try {
        return "nothing, for " + sluice::ipc::unix_socket("name").path();
    } catch (const std::system_error& e) {
        return e.what();
    }
}
bool says(const std::string& text, std::initializer_list<std::string> words) {
    UNSCOPED_INFO(text);
    return std::all_of(words.begin(), words.end(),
                       [&](const std::string& w) { return text.find(w) != std::string::npos; });
}

}  // namespace

TEST_CASE("a name lives in the runtime folder, or else in one of this user's among the temporary files") {
    const example::own_folder folder;
    SECTION("the system's") {
        const variable runtime("XDG_RUNTIME_DIR", folder.path() + "/");
        CHECK(sluice::ipc::unix_socket("name").path() == folder.path() + "/name");
    }
    SECTION("of its own making") {
        const variable runtime("XDG_RUNTIME_DIR", ""), temporary("TMPDIR", folder.path());
        const std::string own = folder.path() + "/sluice-" + std::to_string(::geteuid());
        CHECK(sluice::ipc::unix_socket("name").path() == own + "/name");
        CHECK(sluice::ipc::unix_socket("name").path() == own + "/name");
        CHECK(std::filesystem::status(own).permissions() == std::filesystem::perms::owner_all);
    }
    CHECK(sluice::ipc::unix_socket("./name").path() == "./name");
}

TEST_CASE("a runtime folder that others have a hand in is refused, in words") {
    const example::own_folder folder;
    const std::string path = folder.path() + "/sluice-" + std::to_string(::geteuid());
    const bool systems = GENERATE(true, false);
    const variable runtime("XDG_RUNTIME_DIR", systems ? path : ""), temporary("TMPDIR", folder.path());
    SECTION("open to others") {
        const mode_t mode = GENERATE(as<mode_t>(), 0755, 0720, 0701, 01777);
        REQUIRE(::mkdir(path.c_str(), 0700) == 0);
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        CHECK(says(refusal(), {path, "open to others", "XDG_RUNTIME_DIR"}));
    }
    SECTION("of another user") {
        if (::geteuid() != 0) return;  // only root can make one
        REQUIRE(::mkdir(path.c_str(), 0700) == 0);
        REQUIRE(::chown(path.c_str(), 12345, 12345) == 0);
        CHECK(says(refusal(), {path, "another user", "12345", "XDG_RUNTIME_DIR"}));
    }
    SECTION("a link") {
        const std::string target = folder.path() + "/target";
        REQUIRE(::mkdir(target.c_str(), 0700) == 0);
        REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
        CHECK(says(refusal(), {path, "link", "XDG_RUNTIME_DIR"}));
        const variable with_slash("XDG_RUNTIME_DIR", path + "/");
        CHECK(says(refusal(), {path, "link"}));
    }
    SECTION("no folder") {
        ::close(::open(path.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
        CHECK(says(refusal(), {path, "no folder"}));
    }
}

TEST_CASE("a runtime folder that is not there is named") {
    const example::own_folder folder;
    {
        const variable runtime("XDG_RUNTIME_DIR", folder.path() + "/absent");
        CHECK(says(refusal(), {folder.path() + "/absent", "XDG_RUNTIME_DIR"}));
    }
    const variable runtime("XDG_RUNTIME_DIR", ""), temporary("TMPDIR", folder.path() + "/absent");
    CHECK(says(refusal(), {folder.path() + "/absent/sluice-", "XDG_RUNTIME_DIR"}));
}
