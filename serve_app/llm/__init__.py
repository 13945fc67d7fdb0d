"""All of vLLM, by Ray Serve's LLM library. Imported only where a model of modelFormat vllm is."""
