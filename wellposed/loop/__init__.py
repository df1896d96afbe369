"""The two training loops, and what is watched of a run beside them."""
