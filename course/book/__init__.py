"""The book: the course as a static site that works offline.

chapter.md, records.json, source files -> Markdown with marks -> HTML (MkDocs) -> marks filled in -> site
"""
