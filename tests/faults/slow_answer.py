"""The product, but its answer is kept back for a moment: the work is committed, and the browser knows nothing yet.

Without it, hardly a kill would fall there.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from rollout.wsgi import application as product

KEPT_BACK_S = 0.3


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the product, a moment later."""
    answer: Iterable[bytes] = product(environ, start_response)
    if environ["REQUEST_METHOD"] == "POST":
        time.sleep(KEPT_BACK_S)
    return answer
