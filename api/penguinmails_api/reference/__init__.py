"""Pages for people: the interactive reference, the guides, the problem types. Everything comes from this server; each
page has a twin in Markdown at the same address with `.md`."""
