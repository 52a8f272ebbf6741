"""A small classifier of PNG digits: what the artifacts of this example are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

Numbers: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

HELD_OUT = 5  # every fifth image is for evaluation only


def read_images(folder: Path, *, held_out: bool) -> tuple[Numbers, Labels]:
    """Return pixels and labels of the images below *folder* that are held out, or of the others."""
    files = [file for file in sorted(folder.rglob("*.png")) if (int(file.stem) % HELD_OUT == 0) == held_out]
    pixels = [np.asarray(Image.open(file), dtype=np.float64).ravel() / 255 for file in files]
    return np.stack(pixels), np.array([int(file.parent.name) for file in files])


def fit(pixels: Numbers, labels: Labels, file: Path) -> None:
    """Train on the images and write the weights to *file*."""
    model = LogisticRegression(max_iter=2000).fit(pixels, labels)
    np.savez(file, weights=model.coef_, bias=model.intercept_, labels=model.classes_)


def accuracy(file: Path, pixels: Numbers, labels: Labels) -> float:
    """Return the share of images that the weights in *file* read right."""
    with np.load(file) as model:
        guessed = model["labels"][np.argmax(pixels @ model["weights"].T + model["bias"], axis=1)]
    return round(float(np.mean(guessed == labels)), 4)
