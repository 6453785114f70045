"""What is remembered of an image beside its hash: the columns of `images` that the API answers with."""

from PIL import Image

COLUMNS = ("format", "width", "height", "average_colour")


def describe(image: Image.Image) -> dict[str, object]:
    """Return a value for each of COLUMNS."""
    return {
        "format": image.format or "unknown",
        "width": image.width,
        "height": image.height,
        "average_colour": average_colour(image),
    }


def average_colour(image: Image.Image) -> str:
    """Return the mean colour as #rrggbb."""
    red, green, blue = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return f"#{red:02x}{green:02x}{blue:02x}"
