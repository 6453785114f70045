"""Images made from numbers: the traffic generator's and the golden set's; the same number gives the same picture."""

import io
import random

from PIL import Image, ImageEnhance

BASES = 40
VARIANTS = 10


def traffic_frame(number: int) -> bytes:
    """Return image `number` of the traffic: 40 scenes, each as 10 files that differ as copies of a picture do."""
    # The step has no divisor in common with 400: all come in turn, scenes and variants well mixed.
    scene, variant = divmod(number * 37 % (BASES * VARIANTS), VARIANTS)
    image = scene_image(scene)
    if variant == VARIANTS - 1:
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
    elif variant == VARIANTS - 2:
        # Another picture shines through: near enough to be found, too far to be sure of.
        image = Image.blend(image, scene_image(scene + 1000, image.size), 0.22)
    elif variant:
        image = ImageEnhance.Brightness(image).enhance(1 - 0.03 * variant)
    return encoded(image, "PNG" if variant == 1 else "JPEG", quality=92 - 3 * variant)


def scene_image(seed: int, size: tuple[int, int] | None = None) -> Image.Image:
    """Return a colour picture of soft shapes that `seed` alone determines."""
    numbers = random.Random(seed)
    grid = Image.new("RGB", (9, 8))
    grid.putdata([tuple(numbers.randrange(256) for _ in range(3)) for _ in range(72)])
    width = numbers.randrange(96, 200)
    return grid.resize(size or (width, width * 3 // 4), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, *, quality: int = 90) -> bytes:
    """Return the image as a file of this format."""
    out = io.BytesIO()
    image.save(out, kind, quality=quality) if kind == "JPEG" else image.save(out, kind)
    return out.getvalue()
