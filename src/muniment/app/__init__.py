"""The use: use cases, projections, the library API and the command line."""
