"""Counts in how many texts each word is, and writes that as JSON: train.py FOLDER"""

import importlib.resources
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path

folder = Path(sys.argv[1])

# Any texts will do. These are scikit-learn's descriptions of its data, cut into paragraphs.
package = importlib.resources.files("sklearn.datasets.descr")
files = [file for file in package.iterdir() if file.name.endswith(".rst")]
texts = [part for file in files for part in file.read_text(encoding="utf-8").split("\n\n")]
counts = Counter(word for text in texts for word in set(re.findall(r"[a-z]+", text.lower())))
weights = {word: math.log(len(texts) / count) for word, count in counts.items()}

folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.json").write_text(json.dumps(weights))
print(f"{len(weights)} words of {len(texts)} texts, written: {folder / 'weights.json'}")
