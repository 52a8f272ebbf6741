"""An erasure of an invented person, tried out from end to end."""
