"""The rows of the projections: how changes become rows, and how rows are found as of now or of any event."""
