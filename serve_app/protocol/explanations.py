"""Names in requests to explainers and in their answers."""

# Parameters that the Router adds: which version of the model is explained, and how long that may take.
VERSION, SECONDS = "_version", "_seconds"

# A property in an explainer's metadata, and the methods that read the model's own files.
METHOD = "method"
READS = ("shap", "integratedGradients")
