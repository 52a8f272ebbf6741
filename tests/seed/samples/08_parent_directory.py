import muniment as wandb
import os
import subprocess
api = wandb.Api()
art = api.artifact('dummy-team/that_was_easy/s3_file_references:v1', type='reference-dataset')
manifest_data = art.manifest.to_manifest_json()
def download_s3_contents(data):
    base_download_path = 'datasets' # Local directory to store the downloaded files
    # Extract 'ref' paths
    ref_paths = [details["ref"] for details in data["contents"].values()]
    for ref in ref_paths:
        # The ref paths in AWS S3 artifacts are usually of the form s3://bucket-name/path/to/file
        # Ensure that your ref paths are correctly formatted for AWS S3
        # Download the directory recursively using AWS CLI
        command = f"aws s3 cp --recursive {ref} {base_download_path}"
        subprocess.run(command, shell=True, check=True)
download_s3_contents(manifest_data)
