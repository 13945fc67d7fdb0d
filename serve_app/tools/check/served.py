"""What Tandem makes of KServe's documents, held against everything that a Serve config is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kserve import serve_config
from serve_app.tools.kserve.service import Service
from serve_app.tools.kserve.translate import Translation, problems, translate
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Finding, Place, Report, Severity


def served(documents: Iterable[Document], here: bool) -> Translation:
    """The translation; what is wrong with it is in the services' ledgers.

    `here`: it is for this machine, so that its folders and modules should be here.
    """
    found = translate(documents)
    good = [one for one in found.services if not refused(one)]
    inner = Report("")
    check_serve_config(serve_config.write(good), inner, here)
    origins = serve_config.places(good)
    for one in inner.found:
        service, place = _origin(one.place, origins, good)
        if service is not None:
            service.ledger.say(place, one.what, one.why, one.fix, one.severity)
            service.ledger.ours.add(service.ledger.problems[-1])
    return found


def run(found: Translation) -> list[Finding]:
    """What is to be said to whoever wants Tandem to serve it, in the order of the file."""
    for service in found.services:
        service.document.report.extend(problems(service))
    return [each for one in found.services for each in one.document.report.findings()]


def check(documents: Iterable[Document]) -> None:
    """The same to whoever checks files, which may be KServe's alone, in the documents' reports.

    What Tandem can't serve is a warning, what it doesn't carry a note.
    """
    for service in served(documents, here=False).services:
        for one in problems(service):
            ours = one in service.ledger.ours and one.severity == "error"
            severity: Severity = "warning" if ours else "note" if one.severity != "error" else "error"
            what = f"Tandem: {one.what}" if ours else one.what
            service.document.report.extend([replace(one, severity=severity, what=what)])


def refused(service: Service) -> bool:
    """Whether something of it can't be served."""
    return any(one.severity == "error" for one in service.ledger.problems)


def _origin(
    place: Place, origins: Sequence[tuple[Place, Service, Place]], services: Sequence[Service]
) -> tuple[Service | None, Place]:
    """The document's place from which a place of the config comes, or the nearest around it."""
    around = [one for one in origins if place[: len(one[0])] == one[0]]
    if around:
        _, service, found = max(around, key=lambda one: len(one[0]))
        return service, found
    return (services[0] if services else None), ()
