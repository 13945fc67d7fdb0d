"""A kustomization's files, and one resource for them."""

from pathlib import Path
from typing import Any

import yaml

THING = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  image: 'im:1'\n"


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = data if isinstance(data, str) else yaml.safe_dump(data)
        (folder / f"{name}.yaml").write_text(text)
    return folder
