"""The book: the course as a site that needs no network.

chapter.md, records.json, source files -> Markdown with marks -> HTML (MkDocs) -> marks filled in -> site
"""
