// What the program gets from each of its shared objects.
#pragma once

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <memory>
#include <string>
#include <system_error>

struct object {
    const std::error_category* category;
    const void* process;
    const void* block_pool;
    std::error_code closed;
    void (*throw_error)();
    /// Whether it catches what `f` throws.
    bool (*catches)(void (*f)());
    std::unique_ptr<sluice::ipc::listener> (*listen)(const sluice::ipc::address& where);
    sluice::channel<int> (*make_channel)();
    sluice::channel<std::string> (*make_texts)();  // with messages
    void (*tour)();
};
