#!/bin/sh
# log_aggregator, when a signal stops it, has written every record that was logged and says so.
. "$(dirname "$0")/common.sh"

stopped_by_signals --records '^stopped: \([0-9]*\) records logged, \1 written in' "not all records were written"
