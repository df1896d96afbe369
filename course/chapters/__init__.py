"""The course: chapters as data; running, verifying and publishing them.

chapter.toml -> Chapter -> run directories -> Results -> facts, criteria, records.json
"""
