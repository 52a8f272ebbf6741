import muniment as wandb
api = wandb.Api()
artifact = api.artifact('dummy-team/that_was_easy/s3_file_references:v0')
artifact.download()
