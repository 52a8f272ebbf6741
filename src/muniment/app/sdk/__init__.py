"""The library API: W&B's names and shapes over the use cases; it holds no rules of its own."""
