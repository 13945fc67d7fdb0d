"""The arguments of commands that have many: what `tandem COMMAND --help` shows."""

from pathlib import Path
from typing import Any

from serve_app.tools.arguments import between, count, mapping, pair, size


def add_batch(commands: Any) -> None:
    """`tandem batch`."""
    batch = commands.add_parser(
        "batch",
        aliases=["offline"],
        help="many rows through a model, without a service; what was stopped goes on",
    )
    batch.add_argument("config", type=Path, help="a Serve config")
    batch.add_argument("model", help="one of its models")
    batch.add_argument("input", help="a file, a folder or a pattern; also s3://…, gs://…")
    batch.add_argument("output", help="a folder, which gets Parquet, or FILE.npz; also in a bucket")
    batch.add_argument(
        "--format", choices=["text", "parquet", "images"], help="of the input (default: by its names)"
    )
    batch.add_argument(
        "--column", type=pair, action="append", default=[], metavar="INPUT=COLUMN",
        help="which column an input of the model takes (default: the one of its name)",
    )  # fmt: skip
    batch.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of the input to write too",
    )
    batch.add_argument(
        "--batch-size", type=count, help="rows the model gets at once (maxBatchSize, or 64)"
    )
    batch.add_argument("--piece-rows", type=count, help="rows of a piece (64 to 10,000, by the input)")
    batch.add_argument(
        "--concurrency", type=between, default=(None, None), metavar="N|LEAST:MOST",
        help="copies of the model (default: as many as there is room for)",
    )  # fmt: skip
    batch.add_argument("--version", help="of the model (default: the newest)")
    batch.add_argument(
        "--image-size", type=size, metavar="HEIGHTxWIDTH", help="to which images are scaled"
    )
    batch.add_argument(
        "--sampling", type=mapping, default={}, metavar="JSON", help="of an LLM: max_tokens, …"
    )
    batch.add_argument("--chat", action="store_true", help="of an LLM: by its chat template")
    batch.add_argument(
        "--max-failed", type=int, metavar="ROWS", help="stop when more rows than these fail"
    )
    batch.add_argument(
        "--overwrite", action="store_true", help="begin anew, not where an earlier run was"
    )


def add_convert(commands: Any) -> None:
    """`tandem convert`."""
    convert = commands.add_parser(
        "convert",
        help="KServe's YAML into KubeRay's and back, a pickled model into a file without code",
    )
    convert.add_argument("path", type=Path, help="the file, which decides what is made; or a folder, -")
    convert.add_argument(
        "-o", "--output", type=Path,
        help="where to write (default: YAML to the standard output, a model beside it)",
    )  # fmt: skip
    convert.add_argument(
        "--to",
        choices=["rayservice", "serve", "kserve", "skops", "onnx"],
        help="of YAML: a RayService (default), a Serve config for `tandem run`, or InferenceServices; "
        "of a pickle: skops (default; boosters get their own form), or onnx",
    )
    convert.add_argument(
        "--rows", type=Path, metavar="JSON", help="rows to compare a model on, as V1's instances"
    )
    convert.add_argument("--image", help="of a RayService's pods, or of a class on KServe")
    convert.add_argument("--name", help="of the RayService (default: the InferenceService's)")
