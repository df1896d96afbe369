"""The course: chapters as data, the work they ask for, and what verifies it.

chapter.toml -> Chapter -> run directories -> Results -> facts, criteria, records.json
"""
