"""The commands of the laboratory; `wellposed.cli` puts them together with those of the course (`book.commands`)."""
