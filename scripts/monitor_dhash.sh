#!/bin/sh
# Show what the gates of dhash measure (manage.py monitor).
#
#   scripts/monitor_dhash.sh --env production [--dry-run]
#
# A thin door: every option goes to the command as it is, and its exit code comes back:
# 0 done, 1 refused or failed, 2 wrong usage.
. "$(dirname "$0")/dhash_door.sh"
through_the_door monitor "$@"
