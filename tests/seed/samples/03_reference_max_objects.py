import muniment as wandb
run = wandb.init()
artifact = wandb.Artifact("mnist", type="dataset")
artifact.add_reference("s3://moe-wandb/datasets", checksum=True, max_objects=10500000)
run.log_artifact(artifact)
location = wandb.Artifact("mnist-location", type="dataset")
location.add_reference("s3://moe-wandb/datasets", checksum=False)
run.log_artifact(location)
run.finish()
