"""Reports: figures, videos and a self-contained page out of run records."""
