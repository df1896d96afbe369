"""Three questions about an environment and a recipe, answered with numbers.

Is there a solution (existence)? Is it found, by how many seeds, at what cost (learnability)? How far can settings be
moved before it is no longer found (stability)? One command trains what is missing as ordinary runs and writes a page.
"""
