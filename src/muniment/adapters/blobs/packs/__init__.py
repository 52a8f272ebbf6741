"""Small blobs travel in packs: 20,000 small files are a handful of objects and requests."""

from muniment.adapters.blobs.packs.index import PackIndex
from muniment.adapters.blobs.packs.store import PackedBlobStore

__all__ = ["PackIndex", "PackedBlobStore"]
