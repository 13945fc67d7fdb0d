"""Trains a convolutional network on scikit-learn's handwritten digits: train.py FOLDER [CHANNELS]"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits

folder = Path(sys.argv[1])
channels = int(sys.argv[2]) if len(sys.argv) > 2 else 8


class Reader(torch.nn.Module):
    """Grey images of 8 x 8 pixels, each 0 to 16, to (probabilities, digit)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, channels, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Flatten(), torch.nn.Linear(channels * 16, 10),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # What prepares an image belongs into the model: then no client can do it differently.
        scaled = image.unsqueeze(1).float() / 16
        odds = self.layers(scaled).softmax(-1)
        return odds, odds.argmax(-1)


torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.uint8)
targets = torch.tensor(digits.target)
network = Reader()
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(60):
    optimizer.zero_grad()
    loss = torch.nn.functional.nll_loss(network(images[100:])[0].log(), targets[100:])
    loss.backward()
    optimizer.step()
right = (network(images[:100])[1] == targets[:100]).float().mean().item()
print(f"{channels} channels read {right:.0%} of the digits right that they never saw")

batch = torch.export.Dim("batch")
program = torch.export.export(network.eval(), (images[:2],), dynamic_shapes=({0: batch},))
folder.mkdir(parents=True, exist_ok=True)
torch.export.save(program, folder / "model.pt2")
print(f"written: {folder / 'model.pt2'}")
