#!/bin/sh
# Start the signed-off rollout of dhash (manage.py deploy); the same valid sign-offs as in the browser are needed.
#
#   scripts/deploy_dhash.sh --env production [--dry-run] [--as USER]
#
# A thin door: every option goes to the command as it is, and its exit code comes back:
# 0 done, 1 refused or failed, 2 wrong usage.
. "$(dirname "$0")/dhash_door.sh"
through_the_door deploy "$@"
