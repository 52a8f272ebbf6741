"""Objects in a bucket: on any server that speaks S3, however much or little of it."""

from muniment.adapters.blobs.s3.bucket import Encryption
from muniment.adapters.blobs.s3.store import S3ObjectStore

__all__ = ["Encryption", "S3ObjectStore"]
