#!/bin/sh
# worker_pool, when a signal stops it, has done every job that it accepted and says so.
. "$(dirname "$0")/common.sh"

stopped_by_signals --jobs '^stopped: \([0-9]*\) jobs accepted, \1 done$' "not all accepted jobs were done"
