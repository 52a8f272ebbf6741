"""Write the handwritten digits that ship with scikit-learn as PNG files: ``<folder>/<label>/<n>.png``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

ALL = 1797
BRIGHTEST = 16  # scikit-learn's digits have 17 shades


def make_images(folder: Path, count: int = ALL) -> int:
    """Write the first *count* digits below *folder*; return how many files are there then."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
        file = folder / str(label) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / BRIGHTEST)).astype(np.uint8)).save(file)
    return sum(1 for _ in folder.rglob("*.png"))


if __name__ == "__main__":
    print(make_images(Path(sys.argv[1] if len(sys.argv) > 1 else "digits")), "images")
