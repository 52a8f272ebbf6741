import muniment as wandb
from datetime import timedelta
run = wandb.init(project="project", entity="dummy-team")
artifact = wandb.Artifact(name="artifact-name", type="artifact-type")
artifact.add_file("my-file")
artifact.ttl = timedelta(days=30) # Set TTL policy
run.log_artifact(artifact)
