"""Sends three images, 192 bytes, to the model `reader`: call.py [URL]"""

import sys
import urllib.request

from sklearn.datasets import load_digits

from serve_app.protocol import client

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
images = load_digits().images[:3].astype("uint8")  # of a PNG: numpy.asarray(PIL.Image.open(file))

body, length = client.encode_http(client.request("reader", {"image": images}), binary=True)
asked = urllib.request.Request(
    url + client.http_path("reader"), data=body, headers=client.http_headers(length)
)
with urllib.request.urlopen(asked) as answer:
    outputs = client.decode_http(answer.read(), answer.headers.get(client.LENGTH)).arrays
print(outputs["digit"].tolist())
