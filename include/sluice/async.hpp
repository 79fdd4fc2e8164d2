// Channels for coroutines, by one include; the list is a map. It defines what the async_ members of the handles return.
#pragma once

#include <sluice/detail/async_members.hpp>
#include <sluice/executor.hpp>  // executors: where a coroutine goes on
#include <sluice/run_loop.hpp>  // run_loop: runs tasks
#include <sluice/sluice.hpp>
#include <sluice/sync_wait.hpp>      // sync_wait: runs one task in this thread
#include <sluice/task.hpp>           // task: a coroutine
#include <sluice/task_group.hpp>     // task_group: tasks of which a coroutine waits for all
#include <sluice/this_executor.hpp>  // this_executor, yield
#include <sluice/via.hpp>            // via: operations in coroutines of other types
