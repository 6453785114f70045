"""Become a command in a release's directory: `python -I in_release.py DIRECTORY VARIABLES-AS-JSON ARGV…`.

Standard library only. A probe starts this in place of the command itself, because the directory is a symlink that must
be followed at that moment, and because a relative program name means one beside the release.
"""

import json
import os
import sys


def main(argv: list[str]) -> None:
    """Change directory, set the variables, and replace this process by the command; exit 127 when that fails."""
    directory, variables, *command = argv
    try:
        os.chdir(directory)
        os.execvpe(command[0], command, {**os.environ, **json.loads(variables)})  # noqa: S606  argv of a reviewed file
    except OSError as error:
        print(f"{command[0]} cannot be started in {directory}: {error.strerror}", file=sys.stderr)
        raise SystemExit(127) from None


if __name__ == "__main__":
    main(sys.argv[1:])
