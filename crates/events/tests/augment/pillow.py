"""Prints what Pillow makes of test images: the table in pillow.rs.

    python3 -m venv /tmp/pil && /tmp/pil/bin/pip install pillow && /tmp/pil/bin/python pillow.py
"""

from PIL import Image, ImageEnhance, ImageOps

MASK = (1 << 64) - 1


def images():
    """Noise, slopes, few levels in a small range; of odd sizes too."""
    for kind, (w, h) in enumerate([(32, 32), (32, 32), (13, 11)]):
        image, state = Image.new("RGB", (w, h)), 1
        for y in range(h):
            for x in range(w):
                pixel = []
                for c in range(3):
                    state = (state * 6364136223846793005 + 1442695040888963407) & MASK
                    noise = state >> 56
                    slope = (5 * x + (2 + c) * y) % 256
                    pixel.append([noise, slope, 60 + 20 * c + noise % 90][kind])
                image.putpixel((x, y), tuple(pixel))
        yield image


def affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


FACTORS = [0.1, 0.5, 0.75, 1.0, 1.25, 1.6, 1.9]
OPERATIONS = {
    "ShearX": ([-0.3, -0.1, 0.0, 0.2, 0.3], lambda i, m: affine(i, (1, m, 0, 0, 1, 0))),
    "ShearY": ([-0.3, -0.1, 0.0, 0.2, 0.3], lambda i, m: affine(i, (1, 0, 0, m, 1, 0))),
    "TranslateX": ([-14, -4, 0, 3, 14], lambda i, m: affine(i, (1, 0, -m, 0, 1, 0))),
    "TranslateY": ([-14, -4, 0, 3, 14], lambda i, m: affine(i, (1, 0, 0, 0, 1, -m))),
    "Rotate": ([-30.0, -7.5, 3.0, 20.0, 30.0], lambda i, m: i.rotate(m, Image.Resampling.NEAREST)),
    "Brightness": (FACTORS, lambda i, m: ImageEnhance.Brightness(i).enhance(m)),
    "Color": (FACTORS, lambda i, m: ImageEnhance.Color(i).enhance(m)),
    "Contrast": (FACTORS, lambda i, m: ImageEnhance.Contrast(i).enhance(m)),
    "Sharpness": (FACTORS, lambda i, m: ImageEnhance.Sharpness(i).enhance(m)),
    "Posterize": ([4, 5, 6, 7, 8], ImageOps.posterize),
    "Solarize": ([0.0, 28.5, 127.5, 255.0], ImageOps.solarize),
    "AutoContrast": ([0], lambda i, m: ImageOps.autocontrast(i)),
    "Equalize": ([0], lambda i, m: ImageOps.equalize(i)),
    "Invert": ([0], lambda i, m: ImageOps.invert(i)),
}

for name, (magnitudes, operation) in OPERATIONS.items():
    digests = []
    for image in images():
        digest = 0xCBF29CE484222325
        for magnitude in magnitudes:
            for channel in operation(image, magnitude).split():
                for value in channel.tobytes():
                    digest = ((digest ^ value) * 0x100000001B3) & MASK
        digests.append(f"0x{digest:016X}")
    print(f'    ("{name}", [{", ".join(digests)}]),')
