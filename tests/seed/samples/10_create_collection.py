import muniment as wandb
# Initialize a run
run = wandb.init(entity="dummy-team", project="that_was_easy")
# Create an artifact object
artifact = wandb.Artifact(name="my-model", type="model")
# Define required registry definitions
org_entity = "local"
registry_name = "model"
collection_name = "first-collection"
target_path = f"{org_entity}/wandb-registry-{registry_name}/{collection_name}"
# Link the artifact to a collection
run.link_artifact(artifact = artifact, target_path = target_path)
run.finish()
