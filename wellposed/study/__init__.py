"""The three questions about an environment and a recipe, with numbers.

Is there a solution (existence)? Is it found, by how many seeds, at what cost (learnability)? How far can settings be
moved before it is not (stability)? One command trains what is missing, as ordinary runs, and writes one page.
"""
