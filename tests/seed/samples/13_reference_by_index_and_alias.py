import muniment as wandb
ORG_ENTITY, REGISTRY_NAME, COLLECTION_NAME, INDEX, ALIAS = "local", "model", "digits", 0, "production"
names = [
    # Artifact name with version index specified
    f"{ORG_ENTITY}/wandb-registry-{REGISTRY_NAME}/{COLLECTION_NAME}:v{INDEX}",
    # Artifact name with alias specified
    f"{ORG_ENTITY}/wandb-registry-{REGISTRY_NAME}/{COLLECTION_NAME}:{ALIAS}",
    # latest - the version that is most recently linked
    f"{ORG_ENTITY}/wandb-registry-{REGISTRY_NAME}/{COLLECTION_NAME}:latest",
]
for name in names:
    print(wandb.Api().artifact(name).download())
