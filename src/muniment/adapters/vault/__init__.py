"""The vault: personal values, each encrypted in a slot of its own, with keys that can be destroyed."""
