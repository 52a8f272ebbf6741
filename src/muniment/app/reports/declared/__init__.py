"""The reports, one module each: what its columns mean, and where its rows come from."""
