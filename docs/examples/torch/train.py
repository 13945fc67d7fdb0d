"""Trains a small network on scikit-learn's diabetes data and exports it: train.py FOLDER [HIDDEN]"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_diabetes

folder = Path(sys.argv[1])
hidden = int(sys.argv[2]) if len(sys.argv) > 2 else 16


class Progression(torch.nn.Module):
    """Ten measurements of each patient to how far the disease has come a year later."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(10, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1)
        )

    def forward(self, patient: torch.Tensor) -> torch.Tensor:
        return self.layers(patient * 20).squeeze(-1) * 77 + 152


torch.manual_seed(0)
data = load_diabetes()
patients = torch.tensor(data.data, dtype=torch.float32)
targets = torch.tensor(data.target, dtype=torch.float32)
network = Progression()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(network(patients), targets)
    loss.backward()
    optimizer.step()
print(
    f"{hidden} hidden units: an error of {loss.item() ** 0.5:.0f} on average, of targets from 25 to 346"
)

# `batch` may be any number of rows. An export without it takes two rows and nothing else.
batch = torch.export.Dim("batch")
program = torch.export.export(network.eval(), (patients[:2],), dynamic_shapes=({0: batch},))
folder.mkdir(parents=True, exist_ok=True)
torch.export.save(program, folder / "model.pt2")
print(f"written: {folder / 'model.pt2'}")
