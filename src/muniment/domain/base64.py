"""Base64 with padding (RFC 4648, section 4), in the one form that every content has."""

from __future__ import annotations

import base64
import binascii


def encode(content: bytes) -> str:
    """Return bytes as Base64."""
    return base64.b64encode(content).decode()


def decode(text: str) -> bytes | None:
    """Return the bytes of a text; ``None`` if it is no Base64, or not as :func:`encode` writes it."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if encode(content) == text else None
