"""Bytes in, frame out: decoding with Pillow and hashing what was decoded."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from dhash import description, fingerprint
from dhash.settings import Settings


class ExtractionError(Exception):
    """No image could be extracted from these bytes; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An extracted image: its hash and its description."""

    hash: str
    described: dict[str, object]


class Extractor:
    """Extracts frames within the bounds of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._max_pixels = settings.max_pixels

    def extract(self, data: bytes) -> Frame:
        """Return the frame in the bytes; raise ExtractionError when there is none."""
        image = decode(data, self._max_pixels)
        return Frame(hash=hash_of(image), described=description.describe(image))


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """Return the decoded image; raise ExtractionError for anything that Pillow cannot read whole."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
        if image.width * image.height > max_pixels:
            raise ExtractionError(f"{image.width}x{image.height} is more than {max_pixels} pixels")
        image.load()
    except ExtractionError:
        raise
    except UnidentifiedImageError as error:  # its own text names a memory address
        raise ExtractionError("these bytes are no image that can be read") from error
    except Exception as error:  # Pillow's plug-ins raise whatever the broken bytes lead them to
        raise ExtractionError(f"{type(error).__name__}: {error}") from error
    return image


def hash_of(image: Image.Image) -> str:
    """Return the difference hash, equal to imagehash.dhash of the same image."""
    small = image.convert("L").resize((fingerprint.WIDTH, fingerprint.HEIGHT), Image.Resampling.LANCZOS)
    return fingerprint.difference_hash(small.tobytes())
