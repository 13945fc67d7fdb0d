"""Trains a classifier of iris flowers and writes it as ONNX: train.py FOLDER [TREES]"""

import sys
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

folder = Path(sys.argv[1])
trees = int(sys.argv[2]) if len(sys.argv) > 2 else 10

iris = load_iris()
names = iris.target_names[iris.target]  # setosa, versicolor, virginica
train_x, test_x, train_y, test_y = train_test_split(
    iris.data.astype("float32"), names, test_size=0.3, random_state=0, stratify=names
)
model = RandomForestClassifier(n_estimators=trees, random_state=0).fit(train_x, train_y)
print(f"{trees} trees name {model.score(test_x, test_y):.0%} of the flowers right that they never saw")

# None is the number of rows: any.
graph = to_onnx(model, initial_types=[("flower", FloatTensorType([None, 4]))], options={"zipmap": False})
folder.mkdir(parents=True, exist_ok=True)
(folder / "model.onnx").write_bytes(graph.SerializeToString())
print(f"written: {folder / 'model.onnx'}")
