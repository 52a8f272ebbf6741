import muniment as wandb
#Define team and org
TEAM_ENTITY_NAME = "dummy-team"
ORG_ENTITY_NAME = "local"
REGISTRY_NAME = "model"
COLLECTION_NAME = "second-collection"
run = wandb.init(entity=TEAM_ENTITY_NAME, project="that_was_easy")
artifact = wandb.Artifact(name="my-model", type="model")
artifact.add_file(local_path="my-file")
target_path=f"{ORG_ENTITY_NAME}/wandb-registry-{REGISTRY_NAME}/{COLLECTION_NAME}"
run.link_artifact(artifact = artifact, target_path = target_path)
