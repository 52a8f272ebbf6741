"""How S3 is spoken: what the stores of blobs and of references share. The SDK is loaded at the first request."""
