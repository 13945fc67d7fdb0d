"""One load at a time, where a framework changes the whole process while it loads.

torch.export's loader obeys an environment variable, Transformers sets the default dtype and replaces
functions of `torch.nn.init`, a filter of warnings is everybody's. Each puts back what it found: of two
loads that overlap, the first to end takes the change from under the second, and the second leaves it
behind for good.
"""

import threading

LOADING = threading.RLock()
