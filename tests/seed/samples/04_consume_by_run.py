import muniment as wandb
run = wandb.init()
# Indicate we are using a dependency
artifact = run.use_artifact('dummy-team/that_was_easy/my-dataset:best', type='dataset')
artifact_dir = artifact.download()
