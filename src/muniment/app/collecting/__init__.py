"""Removing what nothing reaches any more: condemned, let go, deleted in every place, verified, and on record."""
