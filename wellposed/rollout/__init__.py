"""A policy at work in an environment: how it explores, how it is judged, what its training episodes come to."""
