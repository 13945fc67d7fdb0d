"""What the operator refuses in a RayJob and in a RayCronJob's template (KubeRay 1.7: ValidateRayJobSpec,
ValidateRayCronJobSpec)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from serve_app.tools.check import rules as the
from serve_app.tools.check import schedules
from serve_app.tools.check.kuberay_options import gate
from serve_app.tools.check.ray_values import runtime_env
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Looks

_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_OF_CLUSTERS = ("DeleteCluster", "DeleteWorkers")
_ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")  # what must not end before what is in it


def _environment(job: Looks, _: Resource) -> Iterator[Problem]:
    """The job's runtime_env, which is YAML in a string."""
    text, place = job.get("runtimeEnvYAML"), (*job.place, "runtimeEnvYAML")
    if not isinstance(text, str):
        return
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield Problem(place, f"no YAML: {' '.join(str(error).split())}", the.OPERATOR)
        return
    for one in runtime_env({} if found is None else found, place, "the job isn't started"):
        what = ".".join(map(str, (*one.place[len(place) :], one.what)))
        yield replace(one, place=place, what=what)


def _takes_cluster(job: Looks) -> bool:
    return bool(job.mapping("clusterSelector"))


def _mode(job: Looks) -> str:
    return job.text("submissionMode") or "K8sJobMode"


_KINDS = ("RayJob", "RayCronJob")
_strategy = the.below(the.of(*_KINDS), "deletionStrategy")
_rules = the.below(_strategy, "deletionRules *")
_crons = the.below(the.kind("RayCronJob"), "spec")


def _when(rule: Looks) -> tuple[str, str]:
    return rule.text("condition", "jobStatus"), rule.text("condition", "jobDeploymentStatus")


def _policy(rule: Looks, ray: Resource) -> Any:
    """A policy that this job can't have."""
    policy = rule.get("policy")
    if _takes_cluster(ray.spec) and policy in _OF_CLUSTERS:
        return f"{policy} of a cluster that clusterSelector takes"
    return policy == "DeleteWorkers" and ray.cluster.autoscaled and f"{policy} with autoscaling"


def _doubled(rule: Looks, ray: Resource) -> bool:
    before = [(_when(one), one.get("policy")) for one in _rules(ray) if one.place < rule.place]
    return (_when(rule), rule.get("policy")) in before


def _too_early(rule: Looks, ray: Resource) -> str:
    """Another rule's policy that would come first and includes this one's."""
    policy, seconds = rule.text("policy"), rule.number("condition", "ttlSeconds") or 0
    inner = _ORDER[: _ORDER.index(policy)] if policy in _ORDER else ()
    for one in _rules(ray):
        other = one.number("condition", "ttlSeconds") or 0
        if one.get("policy") in inner and _when(one) == _when(rule) and other > seconds:
            return f"{policy} after {seconds} s, before {one.get('policy')} after {other} s"
    return ""


def _no_entrypoint(job: Looks, ray: Resource) -> bool:
    own = job.at("submitterPodTemplate", "spec", "containers", 0).get("command")
    submits = _mode(job) == "SidecarMode" or (_mode(job) == "K8sJobMode" and not own)
    return submits and not job.text("entrypoint").strip()


def _ends(part: Looks, ray: Resource) -> bool:
    return ray.spec.get("shutdownAfterJobFinishes") is True


def _sidecar(job: Looks, ray: Resource) -> bool:
    return _mode(job) == "SidecarMode"


_ENDS = "shutdownAfterJobFinishes: true"
_JOB = (
    Rule("suspend", lambda j, r: j.get("suspend") is True and not _ends(j, r),
         "a job that leaves its cluster can't be suspended", _ENDS),
    Rule("suspend", lambda j, _: j.get("suspend") is True and _takes_cluster(j),
         "a job on a cluster that clusterSelector takes can't be suspended"),
    Rule("ttlSecondsAfterFinished",
         lambda j, r: (j.number("ttlSecondsAfterFinished") or 0) > 0 and not _ends(j, r),
         "it says when the cluster ends, and nothing says that it does", _ENDS),
    the.at_least("ttlSecondsAfterFinished", 0),
    the.at_least("activeDeadlineSeconds", 1),
    the.at_least("preRunningDeadlineSeconds", 1),
    the.at_least("backoffLimit", 0),
    Rule("backoffLimit", lambda j, _: (j.number("backoffLimit") or 0) > 0
         and ((_takes_cluster(j) and "clusterSelector")
              or (_mode(j) == "InteractiveMode" and _mode(j))),
         "a job with {} is not tried again", "backoffLimit: 0"),
    Rule("", lambda j, r: not r.cluster.data and not _takes_cluster(j),
         "neither rayClusterSpec nor clusterSelector"),
    Rule("clusterSelector",
         lambda j, _: _takes_cluster(j) and not j.get("clusterSelector", "ray.io/cluster"),
         "it names no cluster", "clusterSelector: {ray.io/cluster: …}"),
    Rule("clusterSelector", lambda j, r: _takes_cluster(j) and _sidecar(j, r),
         "SidecarMode is a container of a cluster of the job's own"),
    *(the.unwanted(key, f"SidecarMode takes no {key}", when=_sidecar)
      for key in ("submitterPodTemplate", "submitterConfig")),
    Rule("rayClusterSpec headGroupSpec template spec restartPolicy",
         lambda j, r: _sidecar(j, r) and r.cluster.head.text("template", "spec", "restartPolicy")
         not in ("", "Never"), "SidecarMode needs Never"),
    the.one_of("submissionMode", *_MODES, why="the job is never submitted"),
    Rule("entrypoint", _no_entrypoint, "nothing to run", why="`ray job submit` ends with an error"),
    Rule("metadata", lambda j, r: j.mapping("metadata") and (r.cluster.version or (2, 6)) < (2, 6),
         "a job's metadata needs a rayVersion of 2.6.0 or newer"),
)  # fmt: skip
_STRATEGY = (
    the.unwanted("deletionRules", "shutdownAfterJobFinishes says it already",
             "leave shutdownAfterJobFinishes out", _ends),
    the.unwanted("deletionRules", "beside onSuccess and onFailure, which are the old form",
             "deletionRules alone",
             lambda s, _: (s.get("onSuccess"), s.get("onFailure")) != (None, None)),
    Rule("", lambda s, _: not s.items("deletionRules")
         and (s.get("onSuccess") is None or s.get("onFailure") is None),
         "neither deletionRules nor both of onSuccess and onFailure"),
)  # fmt: skip
_OUTCOME = (
    Rule("policy", lambda o, _: o.get("policy") is None, "no policy"),
    Rule("policy", lambda o, r: o.get("policy") == "DeleteNone" and _ends(o, r),
         "DeleteNone beside shutdownAfterJobFinishes"),
    Rule("policy", _policy, "the operator can't do {}"),
)  # fmt: skip
_RULE = (
    Rule("condition", lambda c, _: len([one for one in _when(c) if one]) != 1,
         "one of jobStatus and jobDeploymentStatus"),
    the.at_least("condition ttlSeconds", 0),
    Rule("policy", _policy, "the operator can't do {}"),
    Rule("", _doubled, "the same policy and condition came before"),
    Rule("condition", _too_early, "{}"),
)  # fmt: skip
_SCHEDULE = (
    gate("schedule", lambda *_: True, "RayCronJob"),
    Rule("schedule", lambda c, _: "TZ" in c.text("schedule"), "a time zone in it", "timeZone: …"),
    Rule("schedule",
         lambda c, _: "TZ" not in c.text("schedule") and schedules.broken(c.text("schedule")),
         "'{}' is no schedule: minute hour day month weekday"),
    Rule("timeZone",
         lambda c, _: c.get("timeZone") is not None and schedules.no_zone(c.text("timeZone")),
         "no time zone is called so", "timeZone: Europe/Berlin"),
)  # fmt: skip
TABLE: Table = (
    (the.of(*_KINDS), the.refused("ValidateRayJobSpec"), (*_JOB, _environment)),
    (_strategy, the.refused("validateDeletionConfiguration"), _STRATEGY),
    (
        the.below(_strategy, "onSuccess", "onFailure"),
        the.refused("validateLegacyDeletionPolicies"),
        _OUTCOME,
    ),
    (_rules, the.refused("validateDeletionRules"), _RULE),
    (_crons, the.refused("ValidateRayCronJobSpec"), _SCHEDULE),
)
