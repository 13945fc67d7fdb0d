"""What articles that compare the two claim, beside what this run found."""

from statistics import median

from loadtests.compare.cases import title
from loadtests.compare.figures import reach, rounds_of
from loadtests.compare.judge import mib, ms, named, per_second, seconds
from loadtests.compare.options import Slo
from loadtests.compare.results import Results
from loadtests.compare.sections import switch as switching

_RUN = "make compare"
_SCHEMA = "make test ARGS='tests/package/test_inferenceservice.py'"
_LOOKED = "make test ARGS='tests/package/test_claims.py'"
_CLUSTER = "Not measured: it takes a cluster."
BY = (
    "The claims stand in a widely read comparison article: it sets KubeRay and KServe side by side, "
    "with prose, manifests and commands, and shows no measurement. Such an article is a secondary "
    "source. It is neither project's documentation, and no benchmark."
)


def rows(results: Results, slos: dict[str, Slo]) -> list[list[str]]:
    """Claimed, of what kind, measured here, command."""
    return [
        [
            "First deployment: KubeRay 5 to 10 minutes, KServe 3 to 6",
            "duration",
            _start(results) + " Nodes, images and downloads, which make up minutes, take a cluster.",
            f"{_RUN} ARGS='--parts start'",
        ],
        [
            "A new version: KubeRay restarts the cluster, KServe swaps in place",
            "behaviour",
            _switch(results) + " A cluster does it the other way round: serveConfigV2 is applied in "
            "place, a changed storageUri starts new pods.",
            f"{_RUN} ARGS='--parts switch'",
        ],
        [
            "KubeRay serves many models only with many clusters",
            "behaviour",
            _models(results),
            f"{_RUN} ARGS='--parts models'",
        ],
        [
            "1,000 requests/s cost $1,200 on fixed pods, $800 on KubeRay, $400 on KServe with KEDA",
            "cost",
            _cost(results, slos) + " Autoscaling over a day is not in this run.",
            f"{_RUN} ARGS='--parts load --prices core=0.04,gib=0.005'",
        ],
        [
            "GPU scheduling delay depends on KEDA",
            "behaviour",
            f"{_CLUSTER} KEDA sets a number of replicas; Kubernetes' scheduler places them.",
            "",
        ],
        [
            "CI/CD is harder with KubeRay",
            "advice",
            "Both are one custom resource; both kinds are checked against their schemas by the tests.",
            "make test ARGS='tests/package/test_rayservice.py tests/package/test_inferenceservice.py'",
        ],
        [
            "RayCluster manifests with spec.head and spec.worker",
            "manifest",
            "Refused by the CRD: headGroupSpec and workerGroupSpecs are meant.",
            _SCHEMA,
        ],
        [
            "InferenceService manifests with explainer.type, spec.autoscaling, autoConfig, "
            "spec.logging, pytorch.cache, model.traffic",
            "manifest",
            "Refused by the CRD, each of them. (predictor.logger and canaryTrafficPercent exist.)",
            _SCHEMA,
        ],
        [
            "A KEDA ScaledObject scales a RayCluster",
            "manifest",
            "Neither RayCluster nor RayService has the scale subresource that KEDA needs; Ray Serve and "
            "Ray's own autoscaler do it.",
            _LOOKED,
        ],
        [
            "ray start takes --max-restarts and --no-stdout, has a headless mode, and "
            "RAY_ENABLE_METRICS",
            "command line",
            "None of them is in Ray.",
            _LOOKED,
        ],
        [
            "A KServe TensorFlow runtime with protocol v2, and azure:// as storage",
            "manifest",
            "Not measured here: KServe names Triton for TensorFlow over V2, and https:// addresses of "
            "Azure.",
            "",
        ],
        [
            "Use both: KServe in front, Ray behind",
            "advice",
            "Not measured here. The same clients reach both, which is what makes it possible.",
            "",
        ],
        [
            "KServe pulls the newest model by itself",
            "behaviour",
            "The model server serves what it loaded until its repository extension is asked to load "
            "again.",
            f"{_RUN} ARGS='--parts switch'",
        ],
    ]


def _each(results: Results, said: dict[str, str]) -> str:
    found = "; ".join(f"{named(side)} {said[side]}" for side in results.sides if side in said)
    return f"{found}." if found else "Not in this run."


def _start(results: Results) -> str:
    firsts: dict[str, list[float]] = {}
    for start in results.starts:
        firsts.setdefault(start.side, []).append(start.first)
    return _each(
        results, {side: f"{seconds(median(some))} to the first answer" for side, some in firsts.items()}
    )


def _switch(results: Results) -> str:
    said = {}
    for side in results.sides:
        runs = list(results.of("switch", side=side))
        if runs:
            failed = sum(run.failed for run in runs)
            longest = ms(median(switching.longest(run) for run in runs))
            new = seconds(median(switching.until_new(run) for run in runs))
            said[side] = f"{failed} failed, nobody waited longer than {longest}, all new after {new}"
    return _each(results, said)


def _models(results: Results) -> str:
    runs = list(results.of("models"))
    if not runs:
        return "Not in this run. A Serve config holds any number of applications and models."
    most = max(run.count for run in runs)
    said = {
        side: f"{mib(median(sizes))} with {most}"
        for side in results.sides
        if (sizes := [r.memory for r in runs if r.side == side and r.count == most and r.memory])
    }
    return _each(results, said)


def _cost(results: Results, slos: dict[str, Slo]) -> str:
    case = next((run.case for run in results.of("load")), "")
    if not case:
        return "Not in this run."
    said = {}
    for side in results.sides:
        rounds = rounds_of(results.of("load", case, side))
        if rounds:
            rate = median(reach(runs, slos[case]).rate for runs in rounds.values())
            said[side] = f"{per_second(rate)} inside the SLO on this machine"
    return f"{title(case)}: {_each(results, said)}"
