import muniment as wandb
api = wandb.Api()
artifact = api.artifact("dummy-team/that_was_easy/my-dataset:best")
# Loop through file URLs and apply filtering logic
for f in artifact.files():
    #Implement filtering logic here and custom logic for downloading or handling
    print(f.url)
