import muniment as wandb
api = wandb.Api()
artifact = api.artifact("dummy-team/that_was_easy/my-dataset:best")
artifact.download()
