"""`/seal/…`: sealing, validation and time stamps for the systems of providers.

JSON or multipart in, JSON (or the sealed file) out; a hash is enough where the content is not to
leave its house. Errors are problem details (RFC 9457, which replaced RFC 7807).
"""

from __future__ import annotations

from pater.domain import Parts, Services
from pater.rest.sealing.http import routes
from pater.rest.sealing.jobs import KIND, Jobs
from pater.rest.sealing.work import Work


def parts(services: Services) -> Parts:
    """The routes of the service; nothing where nothing is sealed."""
    if services.seals is None:
        return Parts()
    work = Work(services.seals)
    jobs = Jobs(services, work)
    return Parts(routes=routes(services, work, jobs), jobs={KIND: jobs.work})
