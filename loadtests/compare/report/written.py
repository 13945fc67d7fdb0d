"""Results to files."""

from pathlib import Path

from loadtests.compare.results import Results


def write(results: Results, folder: Path) -> list[Path]:
    """HTML and Markdown beside the results."""
    return []
