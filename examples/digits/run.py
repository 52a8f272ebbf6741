"""Two versions of a dataset and of a model, from preparation to production and back: ``python run.py [FOLDER]``.

Everything goes through the names that W&B's users know; the only difference is the import line.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import muniment as wandb
from classify import accuracy, fit, read_images
from make_images import ALL, make_images

PROJECT = "digits"
MODEL = "digits-classifier"
COLLECTION = f"wandb-registry-model/{MODEL}"
KEPT = timedelta(days=14)


def prepare(folder: Path, count: int) -> None:
    """Log *count* images as a version of the dataset, and their averages for two weeks."""
    images, averages = folder / "images", folder / "averages.npz"
    make_images(images, count)
    with wandb.init(project=PROJECT, job_type="prepare", config={"images": count}) as run:
        dataset = wandb.Artifact("digits", type="dataset", description="Handwritten digits, 8 by 8 pixels")
        dataset.metadata = {"images": count, "held out": "every fifth"}
        dataset.add_dir(str(images))
        run.log_artifact(dataset)

        pixels, labels = read_images(images, held_out=False)
        np.savez(averages, **{str(label): pixels[labels == label].mean(axis=0) for label in range(10)})
        intermediate = wandb.Artifact("digits-averages", type="intermediate")
        intermediate.add_file(str(averages))
        intermediate.ttl = KEPT
        run.log_artifact(intermediate)
    print(f"prepared   {dataset.name}: {count} images; {intermediate.name} is kept for {intermediate.ttl.days} days")


def train(folder: Path) -> None:
    """Train on the latest dataset and log the model."""
    weights = folder / "weights.npz"
    with wandb.init(project=PROJECT, job_type="train") as run:
        dataset = run.use_artifact("digits:latest")
        pixels, labels = read_images(Path(dataset.download(str(folder / dataset.name))), held_out=False)
        fit(pixels, labels, weights)
        model = wandb.Artifact(MODEL, type="model", metadata={"accuracy": accuracy(weights, pixels, labels)})
        model.add_file(str(weights))
        run.log_artifact(model)
    print(f"trained    {model.name} on {len(labels)} images of {dataset.name}")


def evaluate(folder: Path) -> None:
    """Measure the latest model on what it has not seen, and put it into production."""
    with wandb.init(project=PROJECT, job_type="evaluate") as run:
        dataset, model = run.use_artifact("digits:latest"), run.use_artifact(f"{MODEL}:latest")
        pixels, labels = read_images(Path(dataset.download(str(folder / dataset.name))), held_out=True)
        weights = Path(model.download(str(folder / model.name))) / "weights.npz"
        measured = accuracy(weights, pixels, labels)
        run.summary["accuracy"] = measured
        model.metadata["held out accuracy"] = measured
        model.save()
        linked = run.link_artifact(model, target_path=COLLECTION, aliases=["production"])
    print(f"evaluated  {model.name}: {measured:.1%} of {len(labels)} unseen images; production is now {linked.name}")


def roll_back() -> None:
    """Give ``production`` back to the first model."""
    first = wandb.Api().artifact(f"{COLLECTION}:v0")
    first.aliases.append("production")
    first.save()
    print(f"rolled back: production is now {wandb.Api().artifact(f'{COLLECTION}:production').name}")


def main(folder: Path) -> None:
    """Tell the whole story, then say what to look at."""
    os.environ.setdefault("MUNIMENT_HOME", str(folder / "home"))
    for count in (ALL * 2 // 3, ALL):
        with tempfile.TemporaryDirectory() as scratch:
            prepare(Path(scratch), count)
            train(Path(scratch))
            evaluate(Path(scratch))
    before = datetime.now(UTC)
    roll_back()
    then = wandb.Api(as_of=before.isoformat()).artifact(f"{COLLECTION}:production")
    print(f"a moment ago it was {then.name}, made from {then.source_name}\n")
    print(wandb.Api().lineage(f"{PROJECT}/{MODEL}:v1"))
    print(f"""
What to look at next:
  export MUNIMENT_HOME={os.environ["MUNIMENT_HOME"]}
  export PATH={Path(sys.executable).parent}:$PATH
  muniment artifact ls {PROJECT}                               what there is
  muniment lineage {PROJECT}/{MODEL}:v1              what it was made from
  muniment history {COLLECTION}    who moved production, from where to where
  muniment as-of {before:%Y-%m-%dT%H:%M:%S.%fZ} {COLLECTION}:production
  muniment artifact ttl {PROJECT}/digits-averages:v0           when the intermediate goes
  muniment events                                         every act on record
  muniment fsck                                           that nothing was changed behind its back""")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo").resolve())
