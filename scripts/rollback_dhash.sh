#!/bin/sh
# Restore dhash from a verified backup (manage.py rollback).
#
#   scripts/rollback_dhash.sh --backup "$LATEST_BACKUP" --env production [--dry-run] [--as USER]
#
# A thin door: every option goes to the command as it is, and its exit code comes back:
# 0 done, 1 refused or failed, 2 wrong usage.
. "$(dirname "$0")/dhash_door.sh"
through_the_door rollback "$@"
