// All of the core of sluice, by one include; the list is a map of the library.
#pragma once

#include <sluice/version.hpp>    // the version
#include <sluice/result.hpp>     // errc, result<T>, channel_error: what an operation came to
#include <sluice/channel.hpp>    // sender, receiver; unbounded, bounded, rendezvous
#include <sluice/select.hpp>     // select, select_biased, selector and their cases: wait for several channels at once
#include <sluice/timer.hpp>      // after, at, tick, never: time as a channel
#include <sluice/broadcast.hpp>  // broadcaster: each message to every subscriber
