"""KServe's resources as Tandem's configuration, and back: documents in, documents and findings out.

`translate` reads InferenceServices, TrainedModels and LLMInferenceServices into `Service`s;
`serve_config` and `ray_service` write them down; `back` reads those, and `merge` brings back what had no
place there.
"""
