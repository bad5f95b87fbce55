"""A cycle's report: what is stored, and how it is shown as JSON, CSV, Markdown and a page of its own."""
