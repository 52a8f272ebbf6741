"""A folder of blobs fetched from elsewhere: bounded, verified at every read, and safe to delete at any time."""

from muniment.adapters.blobs.cache.store import BlobCache, CachedBlobStore, CacheUsage

__all__ = ["BlobCache", "CacheUsage", "CachedBlobStore"]
