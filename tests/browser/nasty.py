"""Texts that would run, load or break out if a page let them."""

SCRIPT = "<script>window.ran=1</script>"
NASTY = (
    SCRIPT,
    "<img src=x onerror=window.ran=2>",
    "\"'><svg onload=window.ran=3>",
    "</textarea></script><script>window.ran=4</script>",
    "[link](javascript:window.ran=5)",
    "{{ 7|add:7 }}{% debug %}",
    "<a href='javascript:window.ran=6' onclick=window.ran=7>here</a>",
    "<iframe srcdoc='<script>parent.ran=8</script>'></iframe>",
    "\u202egnp.exe\u2066 \x1b[31m",
)
