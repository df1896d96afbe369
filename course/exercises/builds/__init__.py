"""The long exercises: a whole algorithm in one file of the reader, step by step."""
