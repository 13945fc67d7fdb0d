"""Transformers that are asked why, as KServe's documentation has users write them."""

MODULE = '''
from kserve import InferRequest, InferResponse, Model


class Around(Model):
    """What is explained is what it makes of a request, and it has the last word."""

    def preprocess(self, payload, headers=None):
        if isinstance(payload, InferRequest):
            return payload
        return {"instances": [one["row"] for one in payload["instances"]]}

    def postprocess(self, result, headers=None):
        return result if isinstance(result, InferResponse) else {**result, "by": self.name}


class Itself(Around):
    """Has an explanation of its own, from what the model answers."""

    async def explain(self, payload, headers=None):
        found = await self.predict(payload, headers)
        return {"explanations": [row["y"] for row in found["predictions"]], "to": headers["x-user"]}


class More(Around):
    """Has something to say of what the explainer answers."""

    async def explain(self, payload, headers=None):
        return {**await super().explain(payload, headers), "more": 1}


class Plain(Around):
    def explain(self, payload, headers=None):
        return super().explain(payload, headers)
'''
