// Channels for coroutines, by one include; the list is a map. Defines the async_ members of the handles.
#pragma once

#include <sluice/executor.hpp>
#include <sluice/sluice.hpp>
#include <sluice/via.hpp>

#include <sluice/detail/async_members.hpp>
