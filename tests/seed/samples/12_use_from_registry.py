import muniment as wandb
ORG_ENTITY_NAME = 'local'
REGISTRY_NAME = 'model'
COLLECTION_NAME = 'digits'
ALIAS = 'production'
INDEX = '0'
run = wandb.init() # Optionally use the entity, project arguments to specify where the run should be created
registered_artifact_name = f"{ORG_ENTITY_NAME}/wandb-registry-{REGISTRY_NAME}/{COLLECTION_NAME}:{ALIAS}"
registered_artifact = run.use_artifact(artifact_or_name=registered_artifact_name) # marks this artifact as an input to your run
artifact_dir = registered_artifact.download()
