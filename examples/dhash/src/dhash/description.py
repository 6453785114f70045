"""What is remembered of an image beside its hash: the columns of `images` that the API answers with."""

from PIL import Image

COLUMNS = ("format",)


def describe(image: Image.Image) -> dict[str, object]:
    """Return a value for each of COLUMNS."""
    return {"format": image.format or "unknown"}
