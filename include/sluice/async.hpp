// Coroutines: tasks, the loops that run them, and executors.
#pragma once

#include <sluice/executor.hpp>
#include <sluice/run_loop.hpp>
#include <sluice/sync_wait.hpp>
#include <sluice/task.hpp>
#include <sluice/task_group.hpp>
#include <sluice/this_executor.hpp>
