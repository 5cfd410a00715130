"""Training in less time; the table of fast modules in docs/code-layout.md names the plain way of each."""
