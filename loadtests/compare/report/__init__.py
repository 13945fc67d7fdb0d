"""What a comparison found, as one page: HTML, Markdown."""
