from pathlib import Path
import muniment as wandb
run = wandb.init()
artifact = wandb.Artifact("mnist", type="dataset")
artifact.add_reference(Path.cwd().as_uri() + "/moe-wandb/datasets", checksum=True)
# Track the artifact and mark it as an input to
# this run in one swoop. A new artifact version
# is only logged if the files in the bucket changed.
run.use_artifact(artifact)
# Perform training here...
