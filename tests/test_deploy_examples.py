"""The files of examples/deploy fit together."""

import re
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1] / "examples" / "deploy"
# The version of `postgresql-client` in each Debian.
CLIENTS = {"bookworm": 15, "trixie": 17}


def test_the_client_in_the_image_is_not_older_than_the_server() -> None:
    debian = re.search(r"^FROM python:[\d.]+-slim-(\w+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    server = re.search(r"image: postgres:(\d+)", (DEPLOY / "compose.yaml").read_text())
    assert debian and server
    assert CLIENTS[debian[1]] >= int(server[1])
