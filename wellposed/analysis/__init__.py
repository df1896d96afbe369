"""Tables out of run records: arrays and numbers, for figures and for statistics."""
