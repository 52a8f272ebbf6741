"""The rules: what may happen to artifacts, and what follows from it. Pure, attrs only."""
