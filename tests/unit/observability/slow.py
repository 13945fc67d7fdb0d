"""A model that takes its time, to load and to predict."""

import time


class Slow:
    def __init__(self) -> None:
        time.sleep(0.2)

    def predict(self, inputs, parameters):
        time.sleep(0.1)
        return inputs
