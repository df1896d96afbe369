"""The course on wellposed: chapters that are run and verified, exercises, capstones, and the book.

It uses the laboratory as anybody's package may. `course.commands` registers its commands by entry points, and nothing
in `wellposed` imports it.
"""
